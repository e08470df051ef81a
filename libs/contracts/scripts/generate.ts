/** Generates src/gen from protos/; with --check, compares instead and fails when the committed types are stale. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const protos = join(root, 'protos/talkmesh/v1');
const gen = join(root, 'libs/contracts/src/gen');
const loader = dirname(createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json'));

function generate(outDir: string): void {
  const files = readdirSync(protos).filter((name) => name.endsWith('.proto'));
  const options = [
    '--longs=Number',
    '--enums=String',
    '--defaults',
    '--oneofs',
    '--grpcLib=@grpc/grpc-js',
    '--importFileExtension=.js',
    `--includeDirs=${join(root, 'protos')}`,
  ];
  const bin = join(loader, 'build/bin/proto-loader-gen-types.js');
  execFileSync(process.execPath, [bin, ...options, `--outDir=${outDir}`, ...files.map((name) => join(protos, name))], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // The generator names the proto by its absolute path on the machine it ran on.
  for (const [path, text] of filesUnder(outDir))
    writeFileSync(join(outDir, path), text.replaceAll(`${root}protos`, 'protos'));
}

function filesUnder(directory: string): Map<string, string> {
  const found = new Map<string, string>();
  const walk = (at: string): void => {
    for (const name of readdirSync(at)) {
      const path = join(at, name);
      if (statSync(path).isDirectory()) walk(path);
      else found.set(relative(directory, path), readFileSync(path, 'utf8'));
    }
  };
  walk(directory);
  return found;
}

if (process.argv.includes('--check')) {
  const scratch = mkdtempSync(join(tmpdir(), 'talkmesh-gen-'));
  generate(scratch);
  const [fresh, committed] = [filesUnder(scratch), filesUnder(gen)];
  rmSync(scratch, { recursive: true });
  const stale = [...new Set([...fresh.keys(), ...committed.keys()])].filter(
    (name) => fresh.get(name) !== committed.get(name),
  );
  if (stale.length > 0) {
    process.stderr.write(`generated types are stale, run "npm run protos": ${stale.join(', ')}\n`);
    process.exitCode = 1;
  }
} else {
  rmSync(gen, { recursive: true, force: true });
  generate(gen);
}
