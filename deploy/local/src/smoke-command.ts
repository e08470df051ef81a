/** `node /app/smoke.js --url ...` in the gateway's image: the call that `helm test` makes. */
import { explain } from './cli-errors.js';
import { smoke } from './smoke.js';

try {
  process.exitCode = await smoke(process.argv.slice(2));
} catch (thrown) {
  const { message, exitCode } = explain(thrown);
  process.stderr.write(`${message}\n`);
  process.exitCode = exitCode;
}
