import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MeshError } from '@talkmesh/contracts';
import { parseOffer } from './offer.js';
import { type OfferedMedia, writeOffer } from './testing/offers.js';

const AUDIO: OfferedMedia = { kind: 'audio', codecs: ['opus'], direction: 'recvonly' };
const VIDEO: OfferedMedia = { kind: 'video', codecs: ['VP8'], direction: 'sendrecv' };
const OFFER = writeOffer(AUDIO, VIDEO);
const H264: OfferedMedia = { ...VIDEO, codecs: ['H264', 'H265'] };

const refuses = (sdp: string, about: RegExp, reason = 'SDP_INVALID') =>
  assert.throws(
    () => parseOffer(sdp),
    (error) => {
      assert.ok(error instanceof MeshError && error.reason === reason, String(error));
      assert.match(error.message, about);
      return true;
    },
  );
const directions = (sdp: string) => Object.fromEntries(parseOffer(sdp).directions);

test('the direction of each kind of media is read, also one that the whole session has', () => {
  assert.deepEqual(directions(OFFER), { audio: 'recvonly', video: 'sendrecv' });
  assert.deepEqual(directions(OFFER.replace('a=recvonly\r\n', '')), { audio: 'sendrecv', video: 'sendrecv' });
  const session = OFFER.replace(/a=(recvonly|sendrecv)\r\n/g, '').replace('t=0 0', 't=0 0\r\na=recvonly');
  assert.deepEqual(directions(session), { audio: 'recvonly', video: 'recvonly' });
  const twice = writeOffer({ ...VIDEO, direction: 'inactive' }, { ...VIDEO, direction: 'recvonly' }, AUDIO);
  assert.deepEqual(directions(twice), { audio: 'recvonly', video: 'recvonly' });
});

test('text that is not an offer is rejected with the reason', () => {
  refuses('', /v=0/);
  refuses('hello', /line 1/);
  refuses(`v=0\r\n${'a=x\r\n'.repeat(3000)}`, /2000 lines/);
  refuses(`${OFFER}a=${'x'.repeat(70_000)}`, /65536 bytes/);
  refuses(`${OFFER}nonsense\r\n`, /line 26/);
  refuses(`${OFFER}a=x\0y\r\n`, /line 26/);
  refuses(OFFER.replaceAll(/a=fingerprint.*\r\n/g, ''), /no a=fingerprint/);
  refuses(OFFER.replace(/a=fingerprint.*/, 'a=fingerprint:sha-256 zz'), /a=fingerprint: line is malformed/);
  refuses(OFFER.replace(/a=ice-pwd.*/, 'a=ice-pwd:short'), /a=ice-pwd: line is malformed/);
  refuses(OFFER.replaceAll(' 9 UDP', ' 0 UDP'), /no audio or video/);
});

test('line ends and empty lines that text loses or gains on its way do no harm', () => {
  for (const text of [
    OFFER.slice(0, -2),
    OFFER.trim(),
    `${OFFER}\r\n`,
    `${OFFER}\n\n`,
    `\r\n${OFFER}`,
    `\uFEFF${OFFER}`,
    OFFER.replaceAll('\r\n', '\n'),
    OFFER.replaceAll('\r\n', '\r\n\r\n'),
  ])
    assert.equal(parseOffer(text).sdp, OFFER);
});

test('an offer without a codec that this server has is refused with the codecs of both sides', () => {
  refuses(writeOffer(H264, AUDIO), /video .*offers H264, H265; offer VP8, VP9, AV1/, 'CODEC_UNSUPPORTED');
  refuses(writeOffer(VIDEO, { ...AUDIO, codecs: ['AAC'] }), /audio .*MP4A-LATM; offer opus/, 'CODEC_UNSUPPORTED');
  refuses(OFFER.replace('96 VP8', '96 rtx'), /offers none/, 'CODEC_UNSUPPORTED');
  parseOffer(writeOffer({ ...VIDEO, codecs: ['H264', 'VP9'] }));
  parseOffer(writeOffer({ ...AUDIO, codecs: ['PCMU'] }).replace('a=rtpmap:0 PCMU/8000\r\n', ''));
});

test('a codec of media that is not wanted does not matter', () => {
  assert.deepEqual([...parseOffer(writeOffer(H264, AUDIO), ['audio']).directions.keys()], ['video', 'audio']);
});
