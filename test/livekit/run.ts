/**
 * `npm run livekit-tests`: tests against a real livekit-server, which Go builds once. They are no part of `npm test`, because they need Go.
 * Arguments choose files by parts of their paths.
 */
import { requireLivekitServer } from '../support/livekit-server.js';
import { runSuite } from '../support/run-suite.js';
import { installTools } from '../support/tools.js';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
await installTools(say);
say(`livekit-server: ${await requireLivekitServer(say)}`);
await runSuite('test/livekit', /\.livekit\.ts$/);
