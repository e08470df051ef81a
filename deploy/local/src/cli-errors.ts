import { MeshError, type Reason } from '@talkmesh/contracts';

export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;

/** Invalid command line; the exit code is 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const BAD_INPUT: ReadonlySet<Reason> = new Set([
  'ARGUMENT_INVALID',
  'AUDIO_FORMAT_INVALID',
  'AUDIO_EMPTY',
  'AUDIO_TOO_LONG',
  'AVATAR_NOT_FOUND',
]);

/** Message for the user and exit code of an error. A stack is shown only for unexpected errors. */
export function explain(thrown: unknown): { message: string; exitCode: number } {
  if (thrown instanceof UsageError || isBadFlag(thrown)) return { message: thrown.message, exitCode: EXIT.usage };
  if (thrown instanceof MeshError && thrown.reason !== 'INTERNAL')
    return { message: thrown.message, exitCode: BAD_INPUT.has(thrown.reason) ? EXIT.usage : EXIT.failure };
  if (thrown instanceof MeshError && thrown.cause === undefined)
    return { message: thrown.message, exitCode: EXIT.failure };
  const cause = thrown instanceof MeshError ? thrown.cause : thrown;
  return { message: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause), exitCode: EXIT.failure };
}

/** What `parseArgs` of Node throws. */
const isBadFlag = (thrown: unknown): thrown is Error =>
  thrown instanceof Error && ((thrown as NodeJS.ErrnoException).code ?? '').startsWith('ERR_PARSE_ARGS');
