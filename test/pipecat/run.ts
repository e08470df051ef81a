/** `npm run pipecat-tests`: the example against Pipecat itself. They are no part of `npm test`, because they need half a gigabyte of packages. */
import { globSync } from '../support/glob.js';
import { requirePipecat } from '../support/python-packages.js';
import { chosenFiles, runTests } from '../support/run-tests.js';
import { installTools } from '../support/tools.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const files = chosenFiles(globSync(['test/pipecat'], /\.pipecat\.ts$/));
await runTests({
  say,
  prepare: async () => {
    await installTools(say);
    say(`Pipecat: ${await requirePipecat(say)}`);
  },
  phases: [[{ name: 'pipelines', files, atATime: 1 }]],
  fileTimeoutMs: 45 * 60_000,
});
