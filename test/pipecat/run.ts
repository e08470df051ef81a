/** `npm run pipecat-tests`: the example against Pipecat itself. They are no part of `npm test`, because they need half a gigabyte of packages. */
import { requirePipecat } from '../support/python-packages.js';
import { runSuite } from '../support/run-suite.js';
import { installTools } from '../support/tools.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
await installTools(say);
say(`Pipecat: ${await requirePipecat(say)}`);
await runSuite('test/pipecat', /\.pipecat\.ts$/);
