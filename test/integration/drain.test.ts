/** A service that gets SIGTERM during a call drains, exits with 0 and restarts; the call continues. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SERVICES } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { firstAvatar, nano } from '../support/nano.js';
import { rest, startRecordCall } from '../support/record-call.js';
import { ROOMY } from '../support/roomy.js';
import { concatenate, speak } from '../support/speech.js';

const sentence = speak('This sentence is said again and again and again.');
const speech = concatenate(...Array.from({ length: 12 }, () => sentence));

let mesh: Mesh;
const said: string[] = [];
before(async () => {
  mesh = await startMesh({ say: (line) => void said.push(line), env: ROOMY });
});
after(async () => {
  await mesh?.stop();
});

const sessions = async (): Promise<number> =>
  (await rest<{ sessions: unknown[] }>(mesh, 'GET', '/v1/sessions')).body.sessions.length;

for (const service of SERVICES)
  test(`SIGTERM to ${service} during a call: it exits with 0, restarts, and the next call works`, {
    timeout: 90_000,
  }, async () => {
    const call = await startRecordCall(mesh, firstAvatar.id, speech);
    await until('the first chunk', () => call.frames() > nano.chunk.latentFrames, 20_000);
    const process_ = mesh.services.find(({ name }) => name === service);
    assert.ok(process_);
    said.length = 0;
    process.kill(process_.pid, 'SIGTERM');
    await until('its end', () => said.some((line) => line.includes(service) && /ended with code/.test(line)), 20_000);
    assert.ok(
      said.some((line) => line.includes(service) && /ended with code 0/.test(line)),
      said.join('\n'),
    );
    await until('its return', () => said.some((line) => line.includes(service) && /ready again/.test(line)), 30_000);
    if (service === 'score-model' || service === 'vae-decode') {
      const before = call.frames();
      await until('the call continues with the next process', () => call.frames() > before, 30_000);
    }
    // Without a second process a recording ends with its sink; every other stage is taken over by the process that comes back.
    if (service !== 'webrtc-egress') await call.hangUp();
    await call.ended;
    await until('all sessions released', async () => (await sessions()) === 0, 20_000);
    const next = await startRecordCall(mesh, firstAvatar.id, speech);
    await until('a chunk of the next call', () => next.frames() >= nano.chunk.latentFrames, 20_000);
    await next.hangUp();
  });
