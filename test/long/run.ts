/**
 * `npm run long-tests`: a call of more than a minute at real speed, every worker that disappears in every way during a call, the evaluation of
 * the shipped model, and what needs PyTorch: the training code and the files that PyTorch writes. Arguments choose files by parts of their paths.
 */
import { globSync } from '../support/glob.js';
import { chosenFiles, runTests } from '../support/run-tests.js';
import { installTools, installTrainingTools } from '../support/tools.js';
import { isLong, TEST_FOLDERS } from './files.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const files = chosenFiles(globSync(TEST_FOLDERS, /\.test\.ts$/).filter(isLong));
/** These work in real time; the others take the processor time that they leave. */
const isMeasuring = (file: string): boolean => /soak|moves/.test(file);
await runTests({
  say,
  prepare: async () => {
    await installTools(say);
    await installTrainingTools(say);
  },
  phases: [
    [
      { name: 'measuring', files: files.filter(isMeasuring), atATime: 1 },
      { name: 'computing', files: files.filter((file) => !isMeasuring(file)), atATime: 2, idle: true },
    ],
  ],
});
