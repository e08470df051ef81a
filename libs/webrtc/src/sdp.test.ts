import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advertise, limitVideo } from './sdp.js';

const OFFER = [
  'v=0',
  'o=- 1 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'c=IN IP4 0.0.0.0',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789012345678901',
  'a=fingerprint:sha-256 00:11',
  'a=recvonly',
  'a=rtpmap:111 opus/48000/2',
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97 98',
  'c=IN IP4 0.0.0.0',
  'a=sendrecv',
  'a=rtpmap:96 VP8/90000',
  'a=rtpmap:97 rtx/90000',
  'a=fmtp:97 apt=96',
  'a=rtpmap:98 VP9/90000',
  'a=fmtp:98 profile-id=0',
  '',
].join('\r\n');

test('bitrate limits are added to the video section only, for every codec', () => {
  const limited = limitVideo(OFFER.replace('a=sendrecv', 'b=AS:99\r\na=sendrecv'), { maxKbps: 300, startKbps: 800 });
  const [audio = '', video = ''] = limited.split('m=video');
  assert.ok(!audio.includes('b=AS') && !audio.includes('x-google'));
  assert.deepEqual(video.match(/b=AS:\d+/g), ['b=AS:300']);
  assert.ok(video.includes('a=fmtp:96 x-google-start-bitrate=300\r\n'));
  assert.ok(video.includes('a=fmtp:98 profile-id=0;x-google-start-bitrate=300\r\n'));
  assert.ok(video.includes('a=fmtp:97 apt=96\r\n'));
  assert.ok(limited.endsWith('\r\n'));
});

const ANSWER = [
  'v=0',
  's=-',
  'm=audio 41000 UDP/TLS/RTP/SAVPF 111',
  'c=IN IP4 10.0.0.7',
  'a=candidate:1 1 udp 2122194687 10.0.0.7 41000 typ host generation 0',
  'a=candidate:2 1 udp 2122063615 127.0.0.1 41000 typ host generation 0',
  'a=candidate:3 1 udp 2122265343 fd00::2 41000 typ host generation 0',
  'a=candidate:4 1 udp 41885439 203.0.113.5 50000 typ relay raddr 10.0.0.7 rport 41000',
  'a=mid:0',
  '',
].join('\r\n');
const addresses = (sdp: string) => [...sdp.matchAll(/udp \d+ (\S+)/g)].map((match) => match[1]);

test('without addresses the description is unchanged', () => {
  assert.equal(advertise(ANSWER, []), ANSWER);
});

test('only candidates at the given local addresses and relayed ones are kept', () => {
  const advertised = advertise(ANSWER, ['127.0.0.1']);
  assert.deepEqual(addresses(advertised), ['127.0.0.1', '203.0.113.5']);
  assert.ok(advertised.includes('c=IN IP4 127.0.0.1\r\n'));
});

test('an address that is not local replaces the host candidates of its family, once per port', () => {
  const advertised = advertise(ANSWER, ['198.51.100.9']);
  assert.deepEqual(addresses(advertised), ['198.51.100.9', '203.0.113.5']);
  assert.ok(advertised.includes('198.51.100.9 41000 typ host'));
});
