import { MeshError } from '@talkmesh/contracts';

/** How the library words the answer of a server that does not let a participant in: status, its name, and what the server says. */
const ANSWER = /client error: (4\d\d)\b(.*)/s;
/** Come and go with the server's load. */
const PASSING = new Set(['408', '425', '429']);

/**
 * The library reports a failed join only in the text of its error. ROOM_REFUSED, which is final, when the server itself answers that it does not let
 * this token in; a proxy whose server is away answers 404 too, but says nothing of a room.
 */
export function joinError(thrown: unknown): MeshError {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const [, status = '', said = ''] = ANSWER.exec(text) ?? [];
  const isRefused = status === '404' ? /\broom\b/.test(said) : status !== '' && !PASSING.has(status);
  return new MeshError(isRefused ? 'ROOM_REFUSED' : 'ROOM_UNREACHABLE', text, { cause: thrown });
}
