import type { Direction, MediaKind } from '../offer.js';

const MAPPINGS = {
  VP8: '96 VP8/90000',
  VP9: '98 VP9/90000',
  AV1: '45 AV1/90000',
  H264: '97 H264/90000',
  H265: '49 H265/90000',
  opus: '111 opus/48000/2',
  PCMU: '0 PCMU/8000',
  AAC: '120 MP4A-LATM/48000/2',
} as const;

export interface OfferedMedia {
  readonly kind: MediaKind;
  readonly codecs: readonly (keyof typeof MAPPINGS)[];
  readonly direction: Direction;
}

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => ((7 * i + 3) % 256).toString(16).padStart(2, '0')).join(':');

/** An offer as a WebRTC peer makes it, without candidates. The fingerprint and credentials are arithmetic: no peer is behind them. */
export function writeOffer(...media: readonly OfferedMedia[]): string {
  const lines = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', `a=group:BUNDLE ${[...media.keys()].join(' ')}`];
  media.forEach(({ kind, codecs, direction }, mid) => {
    const mappings = codecs.map((codec) => MAPPINGS[codec]);
    const payloads = mappings.map((mapping) => mapping.split(' ')[0]);
    lines.push(
      `m=${kind} 9 UDP/TLS/RTP/SAVPF ${payloads.join(' ')}`,
      'c=IN IP4 0.0.0.0',
      'a=ice-ufrag:ufra',
      `a=ice-pwd:${'p'.repeat(24)}`,
      `a=fingerprint:sha-256 ${FINGERPRINT}`,
      'a=setup:actpass',
      `a=mid:${mid}`,
      `a=${direction}`,
      'a=rtcp-mux',
      ...mappings.map((mapping) => `a=rtpmap:${mapping}`),
    );
  });
  return `${lines.join('\r\n')}\r\n`;
}
