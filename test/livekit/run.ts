/**
 * `npm run livekit-tests`: tests against a real livekit-server, which Go builds once. They are no part of `npm test`, because they need Go.
 * Arguments choose files by parts of their paths.
 */
import { globSync } from '../support/glob.js';
import { requireLivekitServer } from '../support/livekit-server.js';
import { chosenFiles, runTests } from '../support/run-tests.js';
import { installTools } from '../support/tools.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const files = chosenFiles(globSync(['test/livekit'], /\.livekit\.ts$/));
await runTests({
  say,
  prepare: async () => {
    await installTools(say);
    say(`livekit-server: ${await requireLivekitServer(say)}`);
  },
  phases: [[{ name: 'rooms', files, atATime: 1 }]],
  fileTimeoutMs: 45 * 60_000,
});
