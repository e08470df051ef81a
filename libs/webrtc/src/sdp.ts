import { isIPv4, isIPv6 } from 'node:net';

/** Sets the highest and the initial bitrate of the video encoder that answers this offer: b=AS (RFC 3556) and libwebrtc's x-google-start-bitrate. */
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
 * Keeps only the candidates at the given addresses in a description, and all relayed ones. An address that no candidate has is that
 * of a 1:1 NAT in front of this host: it replaces the address of the host candidates of its family. An empty list changes nothing.
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
  const advertised = lines.flatMap((line) => {
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
  return advertised
    .join('\r\n')
    .replace(/^c=IN IP[46] (?!0\.0\.0\.0)\S+/m, `c=IN IP${isIPv4(addresses[0] ?? '') ? 4 : 6} ${addresses[0]}`);
}
