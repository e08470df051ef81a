/** Compiles the package of the working folder for publication: ES modules with source maps and type declarations. `npm pack` and `npm publish` run it. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const COMPILER = fileURLToPath(new URL('bin/tsc', import.meta.resolve('typescript/package.json')));

rmSync('dist', { recursive: true, force: true });
execFileSync(process.execPath, [COMPILER, '--project', '.'], { stdio: 'inherit' });
