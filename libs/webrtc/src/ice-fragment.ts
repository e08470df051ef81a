import { MeshError } from '@talkmesh/contracts';

/** Media type of a fragment of a session description that holds ICE credentials and candidates (RFC 8840, 9). */
export const FRAGMENT_TYPE = 'application/trickle-ice-sdpfrag';
/** Longest fragment that is accepted, bytes, and its most candidates. A browser with many interfaces sends some 40 of 150 bytes. */
export const MAX_FRAGMENT_BYTES = 16_384;
const MAX_CANDIDATES = 100;
/** RFC 8839, 5.1: foundation, component, transport, priority, address, port, type, extensions. */
const CANDIDATE =
  /^candidate:[\w+/]{1,32} \d{1,5} \w{1,8} \d{1,10} [\w.:-]{1,255} \d{1,5} typ \w{1,10}( [\x21-\x7e]{1,64})*$/;
const UFRAG = /^[\w+/-]{4,256}$/;
const PASSWORD = /^[\w+/-]{22,256}$/;

export interface TrickledCandidate {
  /** Identification tag of its media; undefined: the first. */
  readonly mid: string | undefined;
  /** As RTCIceCandidate has it: `candidate:…`. */
  readonly candidate: string;
}

/** What a caller sends of its ICE agent after the offer. */
export interface IceFragment {
  readonly credentials: { readonly ufrag: string; readonly pwd: string } | undefined;
  readonly candidates: readonly TrickledCandidate[];
}

const refuse = (why: string): never => {
  throw new MeshError('SDP_INVALID', `the ICE fragment is not usable: ${why}`);
};

/**
 * Reads a fragment (RFC 8840, 9) before native code does.
 * @throws MeshError SDP_INVALID, which says what is wrong; BODY_TOO_LARGE
 */
export function parseIceFragment(text: string): IceFragment {
  if (Buffer.byteLength(text) > MAX_FRAGMENT_BYTES)
    throw new MeshError(
      'BODY_TOO_LARGE',
      `the ICE fragment has more than ${MAX_FRAGMENT_BYTES} bytes; send fewer candidates`,
    );
  let [ufrag, pwd, mid]: (string | undefined)[] = [];
  const candidates: TrickledCandidate[] = [];
  for (const line of text.split(/\r?\n/)) {
    const [, letter, value = ''] = /^([am])=(.*)$/.exec(line) ?? [];
    if (line !== '' && letter === undefined) refuse('a line is neither an attribute (a=) nor a media line (m=)');
    if (letter === 'm') mid = undefined;
    const [, name = '', rest = ''] = letter === 'a' ? (/^([\w-]+):?(.*)$/.exec(value) ?? []) : [];
    if (name === 'mid') mid = rest;
    else if (name === 'ice-ufrag') ufrag ??= rest;
    else if (name === 'ice-pwd') pwd ??= rest;
    else if (name === 'candidate') {
      if (!CANDIDATE.test(value)) refuse('a candidate is malformed; send those that the peer connection found');
      candidates.push({ mid, candidate: value });
    }
  }
  if (candidates.length > MAX_CANDIDATES) refuse(`it has more than ${MAX_CANDIDATES} candidates`);
  if (ufrag === undefined && pwd === undefined) return { credentials: undefined, candidates };
  if (ufrag === undefined || pwd === undefined || !UFRAG.test(ufrag) || !PASSWORD.test(pwd))
    return refuse('it needs both a=ice-ufrag and a=ice-pwd, of the lengths that RFC 8839 requires');
  return { credentials: { ufrag, pwd }, candidates };
}

/** The credentials of a description's first media; undefined when it has none. */
export function credentialsOf(sdp: string): { readonly ufrag: string; readonly pwd: string } | undefined {
  const [, ufrag] = /^a=ice-ufrag:(\S+)/m.exec(sdp) ?? [];
  const [, pwd] = /^a=ice-pwd:(\S+)/m.exec(sdp) ?? [];
  return ufrag === undefined || pwd === undefined ? undefined : { ufrag, pwd };
}

/** The entity tag of an ICE session (RFC 9725, 4.3.1): new credentials of the server are a new session. */
export function iceTag(sdp: string): string | undefined {
  const credentials = credentialsOf(sdp);
  return credentials === undefined ? undefined : `"${credentials.ufrag}"`;
}

/** Whether an If-Match header (RFC 9110, 13.1.1) names this tag. */
export const matches = (ifMatch: string, tag: string): boolean =>
  ifMatch.trim() === '*' || ifMatch.split(',').some((item) => item.trim() === tag);

/** The offer that a caller would have sent again for its ICE restart: all as before but credentials and candidates. */
export function restartedOffer(offer: string, { credentials, candidates }: IceFragment): string {
  if (credentials === undefined) return offer;
  const [session = '', ...sections] = offer.split(/^(?=m=)/m);
  const renewed = sections.map((section, index) => {
    const [, mid] = /^a=mid:(\S+)/m.exec(section) ?? [];
    const own = candidates.filter((candidate) => candidate.mid === mid || (candidate.mid === undefined && index === 0));
    const kept = section.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '');
    return `${renew(kept, credentials)}${own.map(({ candidate }) => `a=${candidate}\r\n`).join('')}`;
  });
  const next = session.replace(/^(o=\S+ \S+ )(\d+)/m, (_line, before, version) => `${before}${BigInt(version) + 1n}`);
  return [renew(next, credentials), ...renewed].join('');
}

const renew = (part: string, { ufrag, pwd }: { readonly ufrag: string; readonly pwd: string }): string =>
  part.replace(/^a=ice-ufrag:.*$/gm, `a=ice-ufrag:${ufrag}`).replace(/^a=ice-pwd:.*$/gm, `a=ice-pwd:${pwd}`);

/** The part of an answer that an ICE restart changes: credentials, and the candidates of the first media, which carries all in a bundle. */
export function fragmentOf(answer: string): string {
  const { ufrag = '', pwd = '' } = credentialsOf(answer) ?? {};
  const [, first = ''] = answer.split(/^(?=m=)/m);
  const [media = ''] = first.split(/\r?\n/);
  const lines = first.match(/^a=(mid:|candidate:|end-of-candidates).*$/gm) ?? [];
  const all = [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, media, ...lines].map((line) => line.trim());
  return all.map((line) => `${line}\r\n`).join('');
}
