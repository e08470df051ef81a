import { z } from 'zod';

const isServer = (text: string): boolean => {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^wss?:$/.test(protocol) && username + password + search + hash === '';
};

/** LiveKit servers, for the gateway and for the workers that join rooms. */
export const livekitConfigShape = {
  /** LiveKit servers whose rooms sessions may use: ws:// or wss:// URLs, separated by commas; empty: none. No other server is joined. */
  livekitUrls: z
    .string()
    .default('')
    .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''))
    .refine((urls) => urls.every(isServer), 'is a list of ws:// and wss:// URLs without user, query or fragment'),
} satisfies z.ZodRawShape;

/** The allowed server that a URL names, as the setting writes it; undefined when there is none. The path counts, a slash at its end does not. */
export function allowedServer(allowed: readonly string[], url: string): string | undefined {
  const wanted = canonical(url);
  return wanted === undefined ? undefined : allowed.find((server) => canonical(server) === wanted);
}

function canonical(url: string): string | undefined {
  return isServer(url) ? new URL(url).href.replace(/\/+$/, '') : undefined;
}
