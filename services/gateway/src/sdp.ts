import { MeshError } from '@talkmesh/contracts';

/** Longest offer that is passed on, bytes. */
export const MAX_SDP_BYTES = 65_536;
const MAX_LINES = 2_000;
const MAX_LINE_CHARACTERS = 4_096;

const refuse = (why: string): never => {
  throw new MeshError('SDP_INVALID', `the offer is not usable: ${why}`);
};

/**
 * Looks whether an offer is SDP (RFC 8866) that a WebRTC peer could have made (RFC 8829), before it reaches a native parser.
 * @param kinds at least one of these media must be offered.
 * @throws MeshError SDP_INVALID telling what is missing
 */
export function checkOffer(sdp: string, kinds: readonly ('audio' | 'video')[]): void {
  if (Buffer.byteLength(sdp) > MAX_SDP_BYTES) refuse(`more than ${MAX_SDP_BYTES} bytes`);
  const lines = sdp.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length > MAX_LINES) refuse(`more than ${MAX_LINES} lines`);
  lines.forEach((line, index) => {
    if (line.length > MAX_LINE_CHARACTERS) refuse(`line ${index + 1} is too long`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    if (!/^[a-z]=[^\u0000-\u0008\u000b-\u001f\u007f]*$/.test(line))
      refuse(`line ${index + 1} is not "<letter>=<value>"`);
  });
  if (lines[0] !== 'v=0') refuse('it does not begin with v=0');
  const has = (prefix: string): boolean => lines.some((line) => line.startsWith(prefix));
  for (const prefix of ['o=', 's=', 't=', 'm=', 'a=ice-ufrag:', 'a=ice-pwd:', 'a=fingerprint:'])
    if (!has(prefix)) refuse(`it has no ${prefix} line`);
  if (!kinds.some((kind) => has(`m=${kind} `))) refuse(`it offers no ${kinds.join(' or ')}`);
}
