/** `npm test`: installs the external tools the tests need and runs the test files, but those of `npm run long-tests`. Arguments choose files by parts of their paths. */
import { isLong, TEST_FOLDERS } from './long/files.js';
import { globSync } from './support/glob.js';
import { chosenFiles, runTests } from './support/run-tests.js';
import { installTools } from './support/tools.js';

/** Files that start a whole mesh and work in real time: fewer at a time, after the others. */
const MESH = /^test\/(integration|e2e|bench)\//;
/** Files that measure deadlines or frame rates: after the others, so that nothing takes their time. */
const MEASURING = /^test\/(e2e\/demo|integration\/(overload|timeline)\.test)/;
/** Files that compute for long and wait for nothing: beside those that measure, with the processor time that these leave. */
const COMPUTING = /executor\/webgpu|plans-|compile\/cut|release\/release|fuzz\/|test\/repository\/repository/;
/** The longest files start first, so that no group ends with one of them alone. */
const LONGEST =
  /service-kit\/.*run\.test|egress\/.*service\.test|local\/.*demo\.test|handover|render|embed|accessibility|drain/;
/** Files at a time; of those that start a mesh; of those that only compute. */
const [AT_A_TIME, MESHES, COMPUTERS] = [4, 2, 2];

type Group = 'packages' | 'meshes' | 'measuring' | 'computing';
const groupOf = (file: string): Group => {
  if (MEASURING.test(file)) return 'measuring';
  if (COMPUTING.test(file)) return 'computing';
  return MESH.test(file) ? 'meshes' : 'packages';
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const files = chosenFiles(globSync(TEST_FOLDERS, /\.test\.ts$/))
  .filter((file) => !isLong(file))
  .sort((a, b) => Number(LONGEST.test(b)) - Number(LONGEST.test(a)));
const group = (name: Group, atATime: number) => ({
  name,
  atATime,
  files: files.filter((file) => groupOf(file) === name),
});
await runTests({
  ...{ say, prepare: () => installTools(say) },
  phases: [
    [group('packages', AT_A_TIME)],
    [group('meshes', MESHES)],
    [group('measuring', 1), { ...group('computing', COMPUTERS), idle: true }],
  ],
});
