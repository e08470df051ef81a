import { createHash, createPublicKey } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { MeshError, type RecordingManifest, verifiedManifest } from '@talkmesh/contracts';
import { EXIT, UsageError } from './cli-errors.js';

export const VERIFY_HELP = `talkmesh verify FILE.mp4 [--manifest FILE.json] [--key PUBLIC.pem | --key-id SHA256]
  Checks a recording against its signed manifest, which lies beside it as FILE.json. Without --key or --key-id it
  says which key has signed, and you decide whether it is that of your deployment.
  --key PUBLIC.pem    the public key (or the private one) that must have signed
  --key-id SHA256     the id of that key`;

/** Runs `talkmesh verify`. @returns the exit code, 1 when the recording is not what was signed @throws UsageError */
export async function verifyRecording(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { manifest: { type: 'string' }, key: { type: 'string' }, 'key-id': { type: 'string' } },
  });
  const [path] = positionals;
  if (path === undefined || positionals.length > 1) throw new UsageError(`give one file\n\n${VERIFY_HELP}`);
  if (values.key !== undefined && values['key-id'] !== undefined)
    throw new UsageError('--key and --key-id exclude each other; give one of them');
  try {
    await check(path, values);
    return EXIT.ok;
  } catch (thrown) {
    if (!(thrown instanceof MeshError)) throw thrown;
    process.stderr.write(`talkmesh: ${thrown.message}\n`);
    return EXIT.failure;
  }
}

interface Wanted {
  readonly manifest?: string | undefined;
  readonly key?: string | undefined;
  readonly 'key-id'?: string | undefined;
}

/** @throws UsageError, MeshError ARGUMENT_INVALID */
async function check(path: string, values: Wanted): Promise<void> {
  const size = await sizeOf(path);
  const manifest = await readManifest(values.manifest ?? path.replace(/\.\w+$/, '.json'));
  const wanted = values.key === undefined ? values['key-id'] : await keyIdOf(values.key);
  const { key_id: keyId, alg } = manifest.signature;
  if (wanted !== undefined && wanted.toLowerCase() !== keyId)
    throw new MeshError('ARGUMENT_INVALID', `the manifest was signed by another key, ${keyId}`);
  const [{ data: actions }, { data: file }, { data: about }] = manifest.claim.assertions;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  if (size !== file.bytes || hash.digest('hex') !== file.hash)
    throw new MeshError('ARGUMENT_INVALID', `${path} was changed: it is not the file that was signed`);
  const [created] = actions.actions;
  const lines = [
    `${path} is the recording that was signed.`,
    `  made by    ${manifest.claim.claim_generator_info[0].name} ${manifest.claim.claim_generator_info[0].version}, model ${about.model}, avatar ${about.avatar}`,
    `  source     ${created.digitalSourceType}`,
    `  session    ${about.sessionId}, part ${about.part}, ${created.when}, ${(about.durationMs / 1000).toFixed(2)} s, ended: ${about.end}`,
    `  signed by  ${keyId} (${alg})${wanted === undefined ? '; compare it with the key of your deployment' : ''}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) throw new UsageError(`there is no file ${path}`);
  return found.size;
}

async function readManifest(path: string): Promise<RecordingManifest> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UsageError(`the manifest ${path} cannot be read (${cause.code}); name it with --manifest`);
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new MeshError('ARGUMENT_INVALID', `${path} is not valid JSON`, { cause });
  }
  return verifiedManifest(json);
}

async function keyIdOf(path: string): Promise<string> {
  try {
    const der = createPublicKey(await readFile(path)).export({ type: 'spki', format: 'der' });
    return createHash('sha256').update(der).digest('hex');
  } catch (cause) {
    throw new UsageError(`--key: ${path} is not a key in PEM (${(cause as Error).message})`);
  }
}
