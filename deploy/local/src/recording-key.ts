import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const KEY_FILE = 'signing-key.pem';

/**
 * Recordings on this machine need only a folder, TALKMESH_RECORDINGS_FOLDER: the key that signs them is made in it, once.
 * @returns the settings of gateway and webrtc-egress; empty when nothing is recorded, or a key was chosen
 */
export async function recordingEnv(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const { TALKMESH_RECORDINGS_FOLDER: wanted, TALKMESH_RECORDING_KEY_FILE: chosen } = env;
  if (!wanted) return {};
  const folder = resolve(wanted);
  if (chosen) return { TALKMESH_RECORDINGS_FOLDER: folder };
  await mkdir(folder, { recursive: true, mode: 0o750 });
  const file = join(folder, KEY_FILE);
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFile(file, pem, { mode: 0o600, flag: 'wx' }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  return { TALKMESH_RECORDINGS_FOLDER: folder, TALKMESH_RECORDING_KEY_FILE: file };
}
