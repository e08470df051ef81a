// `npm run demo | build | test | bench | images | cluster | eval | long-tests | livekit-tests | pipecat-tests | monitoring-proof` on a fresh clone: checks the Node version, installs the packages, starts the TypeScript entry.
import { checkNode, ensureInstalled, fail, runTypeScript } from './launch.mjs';

const ENTRIES = {
  demo: ['deploy/local/src/cli.ts', 'demo'],
  build: ['deploy/local/src/build-command.ts'],
  test: ['test/run.ts'],
  'long-tests': ['test/long/run.ts'],
  bench: ['test/bench/bench.ts'],
  images: ['deploy/docker/proof/images.ts'],
  cluster: ['deploy/cluster/cluster.ts'],
  eval: ['test/eval/eval.ts'],
  'livekit-tests': ['test/livekit/run.ts'],
  'pipecat-tests': ['test/pipecat/run.ts'],
  'monitoring-proof': ['test/monitoring/proof/run.ts'],
};

const [name, ...args] = process.argv.slice(2);
const entry = Object.hasOwn(ENTRIES, name ?? '')
  ? ENTRIES[name]
  : fail(`usage: bootstrap.mjs ${Object.keys(ENTRIES).join(' | ')}`);
checkNode();
await ensureInstalled();
const [path, ...entryArgs] = entry;
runTypeScript(path, [...entryArgs, ...args]);
