// Downloads a model folder: model.json, whose checksum is given, then the files that it lists with their checksums.
// node download-model.mjs URL SHA256 FOLDER
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

const DEADLINE_MS = 600_000;
const [url, sha256, folder] = process.argv.slice(2);
const sha256Of = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** @returns the file's bytes, from the folder when an earlier attempt has left it there complete */
async function fetchFile(path, expected) {
  const target = join(folder, path);
  const present = await readFile(target).catch(() => undefined);
  if (present !== undefined && sha256Of(present) === expected) return present;
  const from = `${url.replace(/\/+$/, '')}/${path}`;
  const answer = await fetch(from, { signal: AbortSignal.timeout(DEADLINE_MS) });
  if (!answer.ok)
    throw new Error(`${from} answers ${answer.status}: set model.url to the folder that holds model.json`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  const found = sha256Of(bytes);
  if (found !== expected)
    throw new Error(
      `${from} has the SHA-256 ${found} instead of ${expected}: the file was changed, or model.sha256 is wrong`,
    );
  await mkdir(dirname(target), { recursive: true });
  await writeFile(`${target}.part`, bytes);
  await rename(`${target}.part`, target);
  return bytes;
}

try {
  const manifest = JSON.parse((await fetchFile('model.json', sha256)).toString('utf8'));
  for (const file of manifest.files) {
    if (normalize(file.path) !== file.path || /^[./]/.test(file.path))
      throw new Error(`model.json names ${file.path}, which is not a path inside the model folder`);
    await fetchFile(file.path, file.sha256);
  }
  process.stdout.write(`${manifest.name}@${manifest.version}: ${manifest.files.length} files are complete\n`);
} catch (error) {
  process.stderr.write(`The model was not downloaded: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
