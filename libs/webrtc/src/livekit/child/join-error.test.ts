import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinError } from './join-error.js';

/** Texts of LiveKit's library in front of a server that gives each answer. */
const REASONS: readonly (readonly [string, string])[] = [
  [
    'client error: 401 Unauthorized - invalid token: e30, error: go-jose/go-jose: error in cryptographic primitive',
    'ROOM_REFUSED',
  ],
  ['client error: 403 Forbidden - ', 'ROOM_REFUSED'],
  ['client error: 400 Bad Request - participant identity length exceeds limits: max length 256', 'ROOM_REFUSED'],
  ['client error: 404 Not Found - requested room does not exist', 'ROOM_REFUSED'],
  ['client error: 404 Not Found - default backend - 404', 'ROOM_UNREACHABLE'],
  ['client error: 429 Too Many Requests - ', 'ROOM_UNREACHABLE'],
  ['server error: 500 Internal Server Error - permission denied (401)', 'ROOM_UNREACHABLE'],
  ['server error: 503 Service Unavailable - unauthorized', 'ROOM_UNREACHABLE'],
  ['handshake error: 302 Found', 'ROOM_UNREACHABLE'],
  ['failed to retrieve region info: error sending request for url (http://127.0.0.1:401/settings)', 'ROOM_UNREACHABLE'],
];

test('a join is refused for good when the server itself says so, and only then', () => {
  for (const [text, reason] of REASONS)
    assert.equal(joinError(new Error(`engine: signal failure: ${text}`)).reason, reason, text);
  assert.equal(joinError('nothing known').reason, 'ROOM_UNREACHABLE');
});
