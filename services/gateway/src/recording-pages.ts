import { isSessionId, MeshError } from '@talkmesh/contracts';

/** Where a recording is in the list. */
export interface Place {
  readonly sessionId: string;
  /** Unix milliseconds. */
  readonly createdAtMs: number;
}

export interface PageQuery {
  /** Recordings of a page, at least 1. */
  readonly limit: number;
  /** `nextCursor` of the page before; undefined: the first page. */
  readonly cursor?: string | undefined;
}

export interface Page<T> {
  readonly page: readonly T[];
  /** Undefined: nothing follows. */
  readonly nextCursor: string | undefined;
}

const cursorOf = ({ createdAtMs, sessionId }: Place): string =>
  Buffer.from(`${createdAtMs} ${sessionId}`).toString('base64url');

/** @throws MeshError ARGUMENT_INVALID */
function placeOf(cursor: string): Place {
  const [, createdAtMs = '', sessionId = ''] =
    /^(\d+(?:\.\d+)?) (\w+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (isSessionId(sessionId)) return { createdAtMs: Number(createdAtMs), sessionId };
  throw new MeshError('ARGUMENT_INVALID', 'the cursor is not one that this list gave; leave it out to begin anew');
}

const newestFirst = (a: Place, b: Place): number =>
  b.createdAtMs - a.createdAtMs || Number(a.sessionId < b.sessionId) - Number(a.sessionId > b.sessionId);

/**
 * One page of a list, newest first. A cursor names a place, not an item: pages stay complete while recordings come and go.
 * @throws MeshError ARGUMENT_INVALID when the cursor is none
 */
export function pageOf<T extends Place>(all: readonly T[], { limit, cursor }: PageQuery): Page<T> {
  const last = cursor === undefined ? undefined : placeOf(cursor);
  const rest = all.filter((one) => last === undefined || newestFirst(one, last) > 0).sort(newestFirst);
  const page = rest.slice(0, limit);
  const end = page.at(-1);
  return { page, nextCursor: end !== undefined && rest.length > limit ? cursorOf(end) : undefined };
}
