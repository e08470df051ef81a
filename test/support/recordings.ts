import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceName } from '@talkmesh/contracts';
import { until } from '@talkmesh/service-kit/testing';
import type { RemoteMesh } from '../../deploy/local/src/render/options.js';
import { rest } from './record-call.js';

const PATIENCE_MS = 90_000;
type CallableMesh = Pick<RemoteMesh, 'httpUrl' | 'apiKey'>;

export interface Recording {
  readonly state: string;
  readonly parts: readonly { readonly part: number; readonly state: string; readonly durationMs: number }[];
}

/** Where a mesh keeps recordings, and the key that signs them. */
export class RecordingStore {
  readonly keyFile: string;
  readonly #folder: string;

  /** @param folder an existing one, for the recordings, the key and what is downloaded */
  constructor(folder: string) {
    this.#folder = folder;
    this.keyFile = join(folder, 'key.pem');
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(this.keyFile, pem, { mode: 0o600 });
  }

  /** Settings of the services that record. */
  get env(): Partial<Record<ServiceName, NodeJS.ProcessEnv>> {
    const gateway = { TALKMESH_RECORDINGS_FOLDER: join(this.#folder, 'recordings') };
    const own = { TALKMESH_RECORDING_KEY_FILE: this.keyFile, TALKMESH_RECORDING_MIN_FREE_MB: '0' };
    return { gateway, 'webrtc-egress': { ...gateway, ...own } };
  }

  /** Ends the session. @returns its recording when that is complete */
  async finish(mesh: CallableMesh, sessionId: string): Promise<Recording> {
    assert.equal((await rest(mesh, 'DELETE', `/v1/sessions/${sessionId}`)).status, 204);
    const isFinished = async (): Promise<boolean> => (await recordingOf(mesh, sessionId)).state === 'finished';
    await until('the recording', isFinished, PATIENCE_MS);
    return recordingOf(mesh, sessionId);
  }

  /** @returns paths of the video and of its manifest */
  async download(mesh: CallableMesh, sessionId: string, part = 1): Promise<{ video: string; manifest: string }> {
    const path = `${mesh.httpUrl}/v1/sessions/${sessionId}/recording/${part}`;
    const names = [`${sessionId}-${part}.mp4`, `${sessionId}-${part}.json`] as const;
    const [video, manifest] = [join(this.#folder, names[0]), join(this.#folder, names[1])];
    const load = async (url: string): Promise<Buffer> => {
      const answer = await fetch(url, { headers: { authorization: `Bearer ${mesh.apiKey}` } });
      assert.equal(answer.status, 200, url);
      return Buffer.from(await answer.arrayBuffer());
    };
    writeFileSync(video, await load(path));
    writeFileSync(manifest, await load(`${path}/manifest`));
    return { video, manifest };
  }
}

export const recordingOf = async (mesh: CallableMesh, sessionId: string): Promise<Recording> =>
  (await rest<Recording>(mesh, 'GET', `/v1/sessions/${sessionId}/recording`)).body;
