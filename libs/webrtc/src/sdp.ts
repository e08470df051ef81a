import { isIPv4, isIPv6 } from 'node:net';
import { MeshError } from '@talkmesh/contracts';

/** An offer is text of a few KiB; a browser's largest is about 20 KiB. */
export const MAX_SDP_BYTES = 65_536;
const MAX_LINES = 2000;

export type MediaKind = 'audio' | 'video';
type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

const invalid = (what: string): MeshError => new MeshError('SDP_INVALID', `the SDP offer ${what}`);

/**
 * Refuses what is not an offer before native code sees it (RFC 8866 lines, RFC 8829 section 5.8 essentials).
 * @returns direction of each kind of media offered
 * @throws MeshError SDP_INVALID
 */
export function checkOffer(sdp: string): ReadonlyMap<MediaKind, Direction> {
  if (Buffer.byteLength(sdp) > MAX_SDP_BYTES) throw invalid(`is over ${MAX_SDP_BYTES} bytes`);
  const lines = sdp.split(/\r?\n/);
  if (lines[0] !== 'v=0') throw invalid('does not begin with v=0');
  if (lines.length > MAX_LINES) throw invalid(`has more than ${MAX_LINES} lines`);
  const wrong = lines.findIndex((line) => line !== '' && !/^[a-z]=[^\0]*$/.test(line));
  if (wrong >= 0) throw invalid(`has a malformed line ${wrong + 1}`);
  for (const required of ['a=ice-ufrag:', 'a=ice-pwd:', 'a=fingerprint:'])
    if (!lines.some((line) => line.startsWith(required))) throw invalid(`has no ${required.slice(0, -1)} line`);
  return directions(lines);
}

function directions(lines: readonly string[]): ReadonlyMap<MediaKind, Direction> {
  const found = new Map<MediaKind, Direction>();
  let kind: MediaKind | undefined;
  for (const line of lines) {
    const media = /^m=(\w+) (\d+)/.exec(line);
    if (media) kind = media[1] === 'audio' || media[1] === 'video' ? media[1] : undefined;
    if (media && kind !== undefined && !found.has(kind)) found.set(kind, 'sendrecv');
    const direction = /^a=(sendrecv|sendonly|recvonly|inactive)$/.exec(line);
    if (direction && kind !== undefined) found.set(kind, direction[1] as Direction);
  }
  return found;
}

/** Caps and starts the video encoder that will answer this offer: b=AS (RFC 3556) and libwebrtc's x-google-start-bitrate. */
export function limitVideo(offer: string, limits: { maxKbps: number; startKbps: number }): string {
  const [session = '', ...sections] = offer.split(/^(?=m=)/m);
  return [
    session,
    ...sections.map((section) => (section.startsWith('m=video') ? limitSection(section, limits) : section)),
  ].join('');
}

function limitSection(section: string, { maxKbps, startKbps }: { maxKbps: number; startKbps: number }): string {
  const lines = section.split(/\r?\n/).filter((line) => line !== '' && !/^b=(AS|TIAS):/.test(line));
  const limited: string[] = [];
  const start = `x-google-start-bitrate=${Math.min(startKbps, maxKbps)}`;
  const bandwidthAfter = lines.findIndex((line) => line.startsWith('c=')) >= 0 ? 'c=' : 'm=';
  const withParameters = new Set(lines.flatMap((line) => /^a=fmtp:(\d+) /.exec(line)?.[1] ?? []));
  for (const line of lines) {
    const codec = /^a=rtpmap:(\d+) (VP8|VP9|AV1|H264)\//.exec(line)?.[1];
    const parameters = /^a=fmtp:(\d+) (?!apt=)/.test(line);
    limited.push(parameters ? `${line};${start}` : line);
    if (line.startsWith(bandwidthAfter)) limited.push(`b=AS:${maxKbps}`);
    if (codec !== undefined && !withParameters.has(codec)) limited.push(`a=fmtp:${codec} ${start}`);
  }
  return `${limited.join('\r\n')}\r\n`;
}

const CANDIDATE = /^a=candidate:(\S+) (\d+) (\S+) (\d+) (\S+) (\d+) typ (\S+)/;

/**
 * Leaves only candidates at the given addresses in a description (relayed ones stay). An address that no candidate has stands for this
 * host behind a 1:1 NAT: the host candidates of its family are told with that address. An empty list changes nothing.
 */
export function advertise(sdp: string, addresses: readonly string[]): string {
  if (addresses.length === 0) return sdp;
  return sdp
    .split(/^(?=m=)/m)
    .map((section) => advertiseSection(section, addresses))
    .join('');
}

function advertiseSection(section: string, addresses: readonly string[]): string {
  const lines = section.split('\r\n');
  const local = lines.flatMap((line) => CANDIDATE.exec(line)?.[5] ?? []);
  const foreign = addresses.filter((address) => !local.includes(address));
  const seen = new Set<string>();
  const told = lines.flatMap((line) => {
    const candidate = CANDIDATE.exec(line);
    const [, , component, transport, , address = '', port, type] = candidate ?? [];
    if (candidate === null || type === 'relay' || addresses.includes(address)) return [line];
    const outside = foreign.find(
      (other) => type === 'host' && isIPv4(other) === isIPv4(address) && isIPv6(other) === isIPv6(address),
    );
    const key = `${outside} ${component} ${transport} ${port}`;
    if (outside === undefined || seen.has(key)) return [];
    seen.add(key);
    return [line.replace(` ${address} `, ` ${outside} `)];
  });
  return told
    .join('\r\n')
    .replace(/^c=IN IP[46] (?!0\.0\.0\.0)\S+/m, `c=IN IP${isIPv4(addresses[0] ?? '') ? 4 : 6} ${addresses[0]}`);
}
