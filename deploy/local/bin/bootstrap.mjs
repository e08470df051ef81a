// `npm run demo | test | bench | eval` on a fresh clone: checks Node, installs the packages, starts the TypeScript entry.
import { checkNode, ensureInstalled, fail, runTypeScript } from './launch.mjs';

const ENTRIES = {
  demo: ['deploy/local/src/cli.ts', 'demo'],
  test: ['test/run.ts'],
  bench: ['test/bench/bench.ts'],
  eval: ['test/eval/eval.ts'],
};

const [name, ...args] = process.argv.slice(2);
const entry = Object.hasOwn(ENTRIES, name ?? '')
  ? ENTRIES[name]
  : fail(`use: bootstrap.mjs ${Object.keys(ENTRIES).join(' | ')}`);
checkNode();
await ensureInstalled();
const [path, ...first] = entry;
runTypeScript(path, [...first, ...args]);
