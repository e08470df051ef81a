/** The volume of recordings becomes full while a call is recorded. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { rest } from '../../../test/support/record-call.js';
import { type WatchCall, watchCall } from '../../../test/support/watch-call.js';
import { runProgram } from '../../docker/proof/program.js';
import type { RemoteMesh } from '../../local/src/render/options.js';
import { firstAvatar, gatewayOf, makeCall } from '../calls.js';
import type { Kubectl } from '../kubectl.js';
import { CHART, type Check, inNamespace, NAMESPACE, RELEASE } from './check.js';
import { CALL_SECONDS, podsOf, referenceFrames, untilGone } from './rolled-calls.js';

/** A folder of the node, with room for some seconds of a recording. */
const FOLDER = '/run/recordings';
const SIZE = '256k';
const NAME = 'recordings';
const KEY_SECRET = 'recording-key';
const FULL_MS = 120_000;
const GOES_ON_MS = 20_000;
const POLL_MS = 500;

/** The volume, the claim on it, and the key that signs recordings. */
const objects = (): readonly object[] => {
  const shared = { accessModes: ['ReadWriteMany'], storageClassName: '', volumeMode: 'Filesystem' };
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const inRelease = { namespace: NAMESPACE };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: NAME },
      spec: { ...shared, capacity: { storage: '1Mi' }, hostPath: { path: FOLDER, type: 'Directory' } },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: NAME, ...inRelease },
      spec: { ...shared, volumeName: NAME, resources: { requests: { storage: '1Mi' } } },
    },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: KEY_SECRET, ...inRelease }, stringData: { 'key.pem': pem } },
  ];
};

interface Recording {
  readonly state: string;
  readonly parts: readonly { readonly end?: string; readonly bytes: number; readonly durationMs: number }[];
}

/** Waits for the end of the recording. @throws Error when it is another than a full disk */
async function fullDiskOf(mesh: RemoteMesh, { sessionId }: WatchCall): Promise<Recording['parts'][number]> {
  for (const end = Date.now() + FULL_MS; ; await sleep(POLL_MS)) {
    const { status, body } = await rest<Recording>(mesh, 'GET', `/v1/sessions/${sessionId}/recording`);
    const part = body.parts?.[0];
    if (status === 200 && part !== undefined && body.state !== 'recording') {
      if (body.state === 'failed' && part.end === 'disk-full') return part;
      throw new Error(`the recording ended with ${JSON.stringify(body)}`);
    }
    if (Date.now() > end) throw new Error(`after ${FULL_MS / 1000} s: ${status} ${JSON.stringify(body)}`);
  }
}

/** @throws Error when the viewer sees no new frame */
async function requirePicture(call: WatchCall): Promise<void> {
  const { frames } = await call.report();
  for (const end = Date.now() + GOES_ON_MS; (await call.report()).frames <= frames + 1; await sleep(POLL_MS))
    if (Date.now() > end) throw new Error('the viewer sees no new frame since the recording ended');
}

export const fullDisk: Check = {
  name: 'a recorded call goes on for its viewer over WebRTC when the volume of recordings is full',
  async run(kubectl) {
    const expected = await referenceFrames(await gatewayOf(kubectl));
    await mkdir(FOLDER, { recursive: true });
    await runProgram('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=1777`, 'tmpfs', FOLDER]);
    await kubectl.apply(...objects());
    try {
      const values = [`recordings.claimName=${NAME}`, `recordings.keySecret=${KEY_SECRET}`];
      const config = 'services.webrtc-egress.config.recordingMinFreeMb=0';
      const set = [...values, config].map((value) => `--set=${value}`);
      const before = await podsOf(kubectl, 'gateway');
      await kubectl.helm('upgrade', RELEASE, CHART, inNamespace, '--reuse-values', ...set, '--wait', '--timeout=4m');
      // Connections to the old gateway stay open until it ends, and it records no calls.
      await untilGone(kubectl, before);
      const mesh = await gatewayOf(kubectl);
      const part = await fillWhileRecording(mesh);
      const { framesSha256 } = await makeCall(mesh, { seconds: CALL_SECONDS });
      if (framesSha256 !== expected)
        throw new Error('the frames of the next call differ from those of an undisturbed one');
      return `${part.durationMs / 1000} s in ${Math.round(part.bytes / 1024)} KiB are kept, the recording says disk-full, the picture goes on; the next call is as before`;
    } finally {
      await remove(kubectl);
    }
  },
};

async function fillWhileRecording(mesh: RemoteMesh): Promise<Recording['parts'][number]> {
  const wanted = { provider: 'external', recording: {} };
  await using call = await watchCall(mesh, await firstAvatar(mesh), wanted);
  const part = await fullDiskOf(mesh, call);
  await requirePicture(call);
  return part;
}

async function remove(kubectl: Kubectl): Promise<void> {
  await kubectl.helm('rollback', RELEASE, '1', inNamespace, '--wait', '--timeout=4m');
  await kubectl.kubectl(
    'delete',
    inNamespace,
    `secret/${KEY_SECRET}`,
    `persistentvolumeclaim/${NAME}`,
    '--timeout=60s',
  );
  await kubectl.kubectl('delete', `persistentvolume/${NAME}`, '--timeout=60s');
  await runProgram('umount', ['--lazy', FOLDER]);
}
