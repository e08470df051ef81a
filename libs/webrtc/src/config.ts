import { isIP } from 'node:net';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535).default(0);
const ms = (defaultMs: number, maxMs: number) => z.coerce.number().int().min(1).max(maxMs).default(defaultMs);
const list = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));

/** Settings of the WebRTC side: ports, addresses, ICE servers. */
export const rtcConfigShape = {
  /** UDP ports for media, both 0: any. A call takes one. */
  rtcPortMin: port,
  rtcPortMax: port,
  /** Addresses told to the peer, separated by commas; empty: every local one. One that is not local (1:1 NAT) replaces the local one of its kind. */
  rtcAdvertise: list.refine((items) => items.every((item) => isIP(item) !== 0), 'is a list of IP addresses'),
  /** stun: and turn: URLs, separated by commas. */
  iceUrls: list.refine(
    (urls) => urls.every((url) => /^(stuns?|turns?):[^\s,]+$/.test(url)),
    'is a list of stun:, turn: or turns: URLs',
  ),
  iceUsername: z.string().default(''),
  /** File that holds the TURN password. */
  iceCredentialFile: z.string().default(''),
  /** From an offer to its answer, milliseconds. */
  rtcAnswerMs: ms(6000, 60_000),
  /** How long candidates may be gathered before the answer goes out with those found, milliseconds. */
  rtcGatherMs: ms(2000, 30_000),
} satisfies z.ZodRawShape;

export type RtcConfig = z.output<z.ZodObject<typeof rtcConfigShape>>;

/** Rules over several of these settings, for `defineConfig`. */
export function rtcConfigRule(config: RtcConfig): string[] {
  const problems: string[] = [];
  if (config.rtcPortMin > config.rtcPortMax || (config.rtcPortMin === 0) !== (config.rtcPortMax === 0))
    problems.push('TALKMESH_RTC_PORT_MIN must not be above TALKMESH_RTC_PORT_MAX; set both or none');
  if (config.rtcGatherMs >= config.rtcAnswerMs)
    problems.push('TALKMESH_RTC_GATHER_MS must be below TALKMESH_RTC_ANSWER_MS');
  const turn = config.iceUrls.some((url) => url.startsWith('turn'));
  if (turn && (config.iceUsername === '' || config.iceCredentialFile === ''))
    problems.push('TALKMESH_ICE_URLS names a TURN server: set TALKMESH_ICE_USERNAME and TALKMESH_ICE_CREDENTIAL_FILE');
  return problems;
}
