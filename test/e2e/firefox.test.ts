/** The demo page in Firefox, as a user operates it: a typed line is spoken, a lost egress is replaced, hanging up ends the session. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { type ProbeSample, readProbe, startProbe } from '../support/call-probe.js';
import { Firefox } from '../support/firefox.js';
import { firstAvatar, mouthBox } from '../support/nano.js';
import { rest } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { isWhole } from '../support/spoken-call.js';
import { percentile } from '../support/statistics.js';

const out = process.env['TALKMESH_SCREENSHOTS'] ?? join(tmpdir(), 'talkmesh-screenshots');

let mesh: Mesh;
before(async () => {
  mkdirSync(out, { recursive: true });
  mesh = await startMesh({ quiet: true, env: ROOMY, replicas: { 'webrtc-egress': 2 } });
});
after(async () => {
  await mesh?.stop();
});

const byTestId = (id: string): string => `[data-testid=${id}]`;
const textOf = (firefox: Firefox, selector: string): Promise<string> =>
  firefox.evaluate((wanted) => document.querySelector(wanted)?.textContent ?? '', selector);

async function say(firefox: Firefox, line: string): Promise<void> {
  await firefox.type(byTestId('say-input'), line);
  // The button is disabled while the call is connected again, and the line stays in its field.
  const isTaken = async (): Promise<boolean> => {
    await firefox.click(byTestId('say-button'));
    return firefox.evaluate(
      (input) => document.querySelector<HTMLInputElement>(input)?.value === '',
      byTestId('say-input'),
    );
  };
  await until('the line to be taken', isTaken, 60_000);
}

/** Seconds of video that were played. */
const playedSeconds = (firefox: Firefox): Promise<number> =>
  firefox.evaluate((video) => document.querySelector<HTMLVideoElement>(video)?.currentTime ?? 0, byTestId('video'));

async function egressOfTheCall(): Promise<number | undefined> {
  const { sessions } = (await rest<{ sessions: { id: string }[] }>(mesh, 'GET', '/v1/sessions')).body;
  const path = `/v1/sessions/${sessions[0]?.id}`;
  const { placement } = (await rest<{ placement: Record<string, string> }>(mesh, 'GET', path)).body;
  return mesh.services.find(({ instanceId }) => instanceId === placement['webrtc-egress'])?.pid;
}

test('Firefox: the mouth moves with a typed line and closes after it; the call outlives its egress and ends with it hung up', {
  timeout: 240_000,
}, async () => {
  await until('all workers to be ready', () => isWhole(mesh), 90_000);
  await using firefox = await Firefox.open({ width: 1280, height: 800 });
  await firefox.goto(`${mesh.httpUrl}/#key=${mesh.apiKey}`);
  const avatar = byTestId(`avatar-${firstAvatar.id}`);
  await until(
    'the gallery',
    () => firefox.evaluate((wanted) => document.querySelector(wanted) !== null, avatar),
    30_000,
  );
  await firefox.click(avatar);
  await firefox.click(byTestId('call'));
  await until('the video', async () => (await playedSeconds(firefox)) > 0.5, 60_000);
  await startProbe(firefox, mouthBox);
  const samplesSoFar = (): Promise<ProbeSample[]> => readProbe(firefox);

  // Firefox gives WebAudio no sound where the machine has no sound device, so what is heard is checked by its track.
  const stateOf = (): Promise<string | undefined> =>
    firefox.evaluate((status) => document.querySelector<HTMLElement>(status)?.dataset['state'], byTestId('status'));
  await until('the silence before', async () => (await samplesSoFar()).length > 40, 60_000);
  const silent = await samplesSoFar();
  const closed = percentile(
    silent.map(({ mouth }) => mouth),
    0.5,
  );
  const isOpen = ({ mouth }: ProbeSample): boolean => mouth > closed + 0.02;
  const since = async (): Promise<ProbeSample[]> => (await samplesSoFar()).slice(silent.length);
  await say(firefox, 'Hello Firefox, my mother makes wonderful apple pie.');
  await until('the line', async () => (await stateOf()) === 'speaking', 60_000);
  writeFileSync(join(out, 'firefox-call.png'), await firefox.screenshot());
  // A busy browser shows the pictures later than they were played.
  await until('the mouth to move with it', async () => (await since()).filter(isOpen).length > 10, 60_000);
  await until('the end of the line', async () => (await stateOf()) === 'listening', 60_000);
  await until('the mouth to close', async () => !(await since()).slice(-30).some(isOpen), 60_000);
  const isAudible = await firefox.evaluate((video) => {
    const { srcObject, muted } = document.querySelector<HTMLVideoElement>(video) as HTMLVideoElement;
    const [track] = (srcObject as MediaStream).getAudioTracks();
    return !muted && track?.readyState === 'live' && !track.muted;
  }, byTestId('video'));
  assert.ok(isAudible, 'the sound of the call');
  assert.match(await textOf(firefox, '#transcript'), /apple pie/);
  assert.match(await textOf(firefox, '#disclosure'), /AI/);

  const lost = await egressOfTheCall();
  assert.ok(lost !== undefined, 'a worker plays the call');
  process.kill(lost, 'SIGKILL');
  const isReplaced = async (): Promise<boolean> => {
    const pid = await egressOfTheCall();
    return pid !== undefined && pid !== lost;
  };
  await until('another worker to have the call', isReplaced, 30_000);
  await until('the call to go on', async () => (await stateOf()) === 'listening', 60_000);
  await say(firefox, 'I am back, and I say a second line.');
  // The state follows the playhead: the new worker plays the line to the browser.
  await until('the second line', async () => (await stateOf()) === 'speaking', 60_000);
  const playedAt = await playedSeconds(firefox);
  await until('its end', async () => (await stateOf()) === 'listening', 60_000);
  const playedFor = (await playedSeconds(firefox)) - playedAt;
  assert.ok(playedFor > 1, `the browser played ${playedFor} s of video while the line was spoken`);

  await firefox.click(byTestId('hangup'));
  const left = async () => (await rest<{ sessions: unknown[] }>(mesh, 'GET', '/v1/sessions')).body.sessions.length;
  await until('the session to end', async () => (await left()) === 0, 30_000);
});
