import { createHash, timingSafeEqual } from 'node:crypto';

/** A key of the configuration, without the secret itself. */
export interface ApiKey {
  /** Owner of the sessions and pictures made with it: the name, or a part of the hash of a key without one. */
  readonly owner: string;
  /** May act on sessions and pictures of every key. */
  readonly isAdmin: boolean;
  readonly digest: Buffer;
}

const MIN_CHARACTERS = 16;
const UNNAMED_CHARACTERS = 16;
const NAMED = /^([a-z0-9][a-z0-9-]{0,40})(\/admin)?:(\S+)$/;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Reads keys, separated by commas or white space, each of them `KEY`, `NAME:KEY` or `NAME/admin:KEY`. Two keys may have one name, so
 * that a key can be replaced without a gap.
 * @returns the keys, and what is wrong with the text, which never contains a key
 */
export function parseApiKeys(text: string): { readonly keys: readonly ApiKey[]; readonly problems: readonly string[] } {
  const keys: ApiKey[] = [];
  const problems: string[] = [];
  for (const [index, entry] of text
    .split(/[\s,]+/)
    .filter((part) => part !== '')
    .entries()) {
    const [, name, admin, named] = NAMED.exec(entry) ?? [];
    const key = named ?? entry;
    if (name === undefined && entry.includes(':'))
      problems.push(
        `entry ${index + 1} has a name that is not valid; write NAME:KEY or NAME/admin:KEY, NAME of a-z, 0-9, -`,
      );
    else if (key.length < MIN_CHARACTERS)
      problems.push(`key ${index + 1} has fewer than ${MIN_CHARACTERS} characters; make one: openssl rand -hex 24`);
    const hash = digest(key);
    keys.push({
      owner: name ?? hash.toString('hex').slice(0, UNNAMED_CHARACTERS),
      isAdmin: admin !== undefined,
      digest: hash,
    });
  }
  if (keys.length === 0) problems.push('there is no key; without one no session can be created');
  return { keys, problems };
}

/** Compares with every key, in constant time. */
export function findApiKey(keys: readonly ApiKey[], credential: string): ApiKey | undefined {
  const given = digest(credential);
  let found: ApiKey | undefined;
  for (const key of keys) if (timingSafeEqual(key.digest, given)) found = key;
  return found;
}
