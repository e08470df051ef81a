import { MeshError } from '@talkmesh/contracts';

/** Longest offer that is accepted, bytes. A browser's largest is about 20 KiB. */
export const MAX_SDP_BYTES = 65_536;
const MAX_LINES = 2_000;
const MAX_LINE_CHARACTERS = 4_096;
const REQUIRED_LINES = ['o=', 's=', 't=', 'm=', 'a=ice-ufrag:', 'a=ice-pwd:', 'a=fingerprint:'];
/** Lines that native code refuses unless they look like this: ICE credentials (RFC 8839, 5.4) and the DTLS fingerprint (RFC 8122, 5). */
const WELL_FORMED: readonly [prefix: string, pattern: RegExp][] = [
  ['a=ice-ufrag:', /^[\w+/=-]{4,256}$/],
  ['a=ice-pwd:', /^[\w+/=-]{22,256}$/],
  ['a=fingerprint:', /^[\w-]+ [0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}$/],
];

export type MediaKind = 'audio' | 'video';
export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** Codecs that native code both encodes and decodes, by their names in rtpmap lines. */
export const CODECS: Readonly<Record<MediaKind, readonly string[]>> = {
  video: ['VP8', 'VP9', 'AV1'],
  audio: ['opus', 'G722', 'PCMU', 'PCMA'],
};
/** Payload types that need no rtpmap line (RFC 3551, table 4). */
const STATIC_PAYLOADS: Readonly<Record<string, string>> = { 0: 'PCMU', 8: 'PCMA', 9: 'G722' };
/** Formats that carry no media of their own: repair, comfort noise, tones. */
const HELPERS = /^(rtx|red|ulpfec|flexfec.*|CN|telephone-event)$/i;

/** An offer that is safe to pass to a native SDP parser. */
export interface Offer {
  /** The description with every line ended by CRLF, as RFC 8866 section 5 requires; the native parser rejects a last line without one. */
  readonly sdp: string;
  /** Direction of each kind of media offered. */
  readonly directions: ReadonlyMap<MediaKind, Direction>;
}

const refuse = (why: string): never => {
  throw new MeshError('SDP_INVALID', `the offer is not usable: ${why}`);
};

/**
 * Checks that text is an SDP offer (RFC 8866) that a WebRTC peer could have made (RFC 8829), before it reaches a native parser. Empty
 * lines and a missing last line end do no harm: text loses and gains them on its way.
 * @param kinds at least one of these kinds of media must be offered, and each that is offered must have a codec of `CODECS`
 * @throws MeshError SDP_INVALID, which names what is missing; CODEC_UNSUPPORTED, which names the codecs on both sides
 */
export function parseOffer(text: string, kinds: readonly MediaKind[] = ['audio', 'video']): Offer {
  if (Buffer.byteLength(text) > MAX_SDP_BYTES) refuse(`more than ${MAX_SDP_BYTES} bytes`);
  const all = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  if (all.length > MAX_LINES) refuse(`more than ${MAX_LINES} lines`);
  all.forEach((line, index) => {
    if (line.length > MAX_LINE_CHARACTERS) refuse(`line ${index + 1} is too long`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression rejects control characters
    if (!/^([a-z]=[^\u0000-\u0008\u000b-\u001f\u007f]*)?$/.test(line))
      refuse(`line ${index + 1} is not "<letter>=<value>"`);
  });
  const lines = all.filter((line) => line !== '');
  if (lines[0] !== 'v=0') refuse('it does not begin with v=0');
  const has = (prefix: string): boolean => lines.some((line) => line.startsWith(prefix));
  for (const prefix of REQUIRED_LINES) if (!has(prefix)) refuse(`it has no ${prefix} line`);
  for (const [prefix, pattern] of WELL_FORMED)
    for (const line of lines)
      if (line.startsWith(prefix) && !pattern.test(line.slice(prefix.length)))
        refuse(`its ${prefix} line is malformed; send the description that the peer connection made`);
  const sections = sectionsOf(lines);
  const wanted = sections.filter(({ kind }) => kinds.includes(kind as MediaKind));
  if (wanted.length === 0) refuse(`it offers no ${kinds.join(' or ')}`);
  for (const section of wanted) checkCodecs(section);
  const shared = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith('m=')),
  );
  return { sdp: lines.map((line) => `${line}\r\n`).join(''), directions: directionsOf(sections, shared) };
}

interface Section {
  /** `audio`, `video`, `application`. */
  readonly kind: string;
  readonly payloads: readonly string[];
  readonly lines: readonly string[];
}

/** The media sections that are not rejected (port 0). */
function sectionsOf(lines: readonly string[]): Section[] {
  const starts = lines.flatMap((line, index) => (line.startsWith('m=') ? [index] : []));
  return starts.flatMap((start, i) => {
    const [, kind = '', port = '', payloads = ''] = /^m=(\w+) (\d+)\S* \S+ ?(.*)$/.exec(lines[start] ?? '') ?? [];
    // A bundled section may have port 0 and is still in use (RFC 9143, 6).
    const own = lines.slice(start + 1, starts[i + 1]);
    const rejected = port === '0' && !own.includes('a=bundle-only');
    return rejected ? [] : [{ kind, payloads: payloads.split(' '), lines: own }];
  });
}

function checkCodecs({ kind, payloads, lines }: Section): void {
  const named = new Map(lines.flatMap((line) => readMapping(line)));
  const offered = payloads.flatMap((payload) => named.get(payload) ?? STATIC_PAYLOADS[payload] ?? []);
  const codecs = CODECS[kind as MediaKind];
  const isKnown = (name: string): boolean => codecs.some((codec) => codec.toLowerCase() === name.toLowerCase());
  if (offered.some(isKnown)) return;
  const media = [...new Set(offered.filter((name) => !HELPERS.test(name)))];
  throw new MeshError(
    'CODEC_UNSUPPORTED',
    `the offer's ${kind} has no codec that this server has: it offers ${media.join(', ') || 'none'}; offer ${codecs.join(', ')}`,
  );
}

function readMapping(line: string): [payload: string, codec: string][] {
  const [, payload, codec] = /^a=rtpmap:(\d+) ([^/\s]+)/.exec(line) ?? [];
  return payload === undefined || codec === undefined ? [] : [[payload, codec]];
}

/** The direction of the first active section of each kind; one without a direction of its own has that of the session (RFC 8866, 6.7). */
function directionsOf(sections: readonly Section[], shared: readonly string[]): ReadonlyMap<MediaKind, Direction> {
  const directionIn = (lines: readonly string[]) =>
    lines.flatMap((line) => /^a=(sendrecv|sendonly|recvonly|inactive)$/.exec(line)?.[1] ?? []).at(-1);
  const found = new Map<MediaKind, Direction>();
  for (const { kind, lines } of sections) {
    if (kind !== 'audio' && kind !== 'video') continue;
    if ((found.get(kind) ?? 'inactive') !== 'inactive') continue;
    found.set(kind, (directionIn(lines) ?? directionIn(shared) ?? 'sendrecv') as Direction);
  }
  return found;
}
