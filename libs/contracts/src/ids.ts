import { randomBytes } from 'node:crypto';
import { MeshError } from './errors.js';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
export const SESSION_ID_LENGTH = 20;
const SESSION_ID = /^[0-9a-hjkmnp-tv-z]{20}$/;

/** 100 random bits in Crockford base32, lower case: safe in a NATS subject, a URL, a KV key and a file name. */
export function newSessionId(): string {
  let id = '';
  for (const byte of randomBytes(SESSION_ID_LENGTH)) id += ALPHABET[byte & 31];
  return id;
}

export function isSessionId(value: unknown): value is string {
  return typeof value === 'string' && SESSION_ID.test(value);
}

/**
 * Validates a session id before it becomes part of a subject or a key, so that it cannot contain `*`, `>` or `.`.
 * @throws MeshError SESSION_ID_INVALID
 */
export function assertSessionId(value: unknown): string {
  if (isSessionId(value)) return value;
  throw new MeshError(
    'SESSION_ID_INVALID',
    'the session id is not valid: it has 20 characters of 0-9 and a-z without i, l, o and u',
  );
}
