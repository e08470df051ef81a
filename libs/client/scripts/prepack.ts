/** Compiles the package of the working folder for publication: ES modules with source maps and type declarations. `npm pack` and `npm publish` run it. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const { resolve } = createRequire(join(process.cwd(), 'package.json'));
const COMPILER = join(dirname(resolve('typescript/package.json')), 'bin/tsc');

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, [COMPILER, '--project', '.'], { stdio: 'inherit' });
