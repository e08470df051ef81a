/** CustomResourceDefinitions of other projects whose objects the chart makes, as those projects publish them in their Go modules. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runProgram } from '../docker/proof/program.js';
import { CACHE } from './programs.js';

const KEDA = 'github.com/kedacore/keda/v2@v2.21.0';
const FILE = 'keda.sh_scaledobjects.yaml';

/** Path of the definition of KEDA's ScaledObject. */
export const SCALED_OBJECT = join(CACHE, 'definitions', KEDA.replaceAll('/', '-'), FILE);

/** Fetches what is missing through the Go module proxy. @throws Error with Go's output */
export async function fetchDefinitions(): Promise<void> {
  if (existsSync(SCALED_OBJECT)) return;
  const { Dir: folder } = JSON.parse(await runProgram('go', ['mod', 'download', '-json', KEDA])) as { Dir: string };
  await mkdir(dirname(SCALED_OBJECT), { recursive: true });
  await copyFile(join(folder, 'config/crd/bases', FILE), `${SCALED_OBJECT}.unfinished`);
  await rename(`${SCALED_OBJECT}.unfinished`, SCALED_OBJECT);
}
