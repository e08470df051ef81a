/**
 * `npm run bench [-- --json] [hops|chunks|calls|mind ...]`: what this machine does, as tables or JSON. Ratios are against the first row or the
 * baseline of the same run; absolute times are this machine's, now. `mind` compares with PyTorch and runs only when named.
 */
import { loadModel } from '@talkmesh/inference';
import { installTools } from '../support/tools.js';
import { measureCalls } from './calls.js';
import { measureChunks } from './chunks.js';
import { measureHops } from './hops.js';
import { measureMind } from './mind.js';
import { formatTable, type Row } from './table.js';

const PARTS = ['hops', 'chunks', 'calls'] as const;
type Part = (typeof PARTS)[number];

const args = process.argv.slice(2);
const json = args.includes('--json');
const named = PARTS.filter((part) => args.includes(part));
const wanted = new Set<Part>(named.length > 0 || args.includes('mind') ? named : PARTS);
const say = (line: string): void => void process.stderr.write(`${line}\n`);

await installTools(say);
const model = await loadModel(process.env['TALKMESH_MODEL'] ?? 'models/nano');
const { width, height } = model.manifest;
const { chunkMs } = model.geometry;
const tables: Record<string, readonly Row[]> = {};
const titles: Record<string, string> = {
  hops: 'Hops over NATS, one message in flight',
  chunks: `One chunk (${chunkMs} ms of video), no mesh around it`,
  mind: 'One chunk on one thread, against PyTorch',
  sessions: 'Whole mesh, talks of 20 s at once, unpaced',
  stages: 'Stages of the first row',
};
if (wanted.has('hops')) tables['hops'] = await measureHops(chunkMs, width, height);
if (wanted.has('chunks')) tables['chunks'] = await measureChunks(model);
if (wanted.has('calls')) Object.assign(tables, await measureCalls(model));
if (args.includes('mind')) tables['mind'] = await measureMind(model);
if (json) process.stdout.write(`${JSON.stringify({ model: model.label, tables }, null, 2)}\n`);
else
  for (const [name, rows] of Object.entries(tables))
    process.stdout.write(`${formatTable(titles[name] ?? name, rows)}\n\n`);
process.exit(0);
