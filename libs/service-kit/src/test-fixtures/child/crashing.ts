/** A child that child.test.ts starts, asks and kills. */
import { MeshError } from '@talkmesh/contracts';
import { serveParent } from '../../process/child-endpoint.js';

export type ToCrashing =
  | { op: 'echo'; data: Int16Array }
  | { op: 'pid' | 'crash' | 'never' | 'refuse' | 'bug' | 'block' };

const link = serveParent<ToCrashing, unknown, unknown>({
  async onRequest(message) {
    if (message.op === 'echo') return { data: message.data.map((sample) => sample + 1) };
    if (message.op === 'pid') return { pid: process.pid, argv: process.argv.slice(2), execArgv: process.execArgv };
    if (message.op === 'refuse') throw new MeshError('SDP_INVALID', 'no m= line', { metadata: { line: '3' } });
    if (message.op === 'bug') throw new TypeError('undefined is not a picture');
    if (message.op === 'crash') process.kill(process.pid, 'SIGSEGV');
    return new Promise(() => undefined);
  },
  onMessage(message) {
    if (message.op === 'block') for (const end = Date.now() + 60_000; Date.now() < end; );
    link.emit({ got: message });
  },
  onStop() {
    link.emit({ stopping: true });
  },
});
