/**
 * `npm run bench [-- --json] [hops|chunks|calls|compile|score-training|plans|loads|simulate|check|soak|room-soak|handover|startup|providers|lip-sync|latency|decoder|recording|connects|video-model ...]`: measures this machine and prints tables or JSON. Ratios are against the first row or the
 * baseline of the same run; absolute times hold for this machine and its present load only. `score-training` (a comparison with PyTorch)
 * and the ones after it run only when named. `--loss PERCENT` and `--rate-kbit N` put the whole measurement into a network with loss and
 * a rate limit for datagrams (as root). `video-model` takes `--size 128|256|512`, `--width full|small` and `--provider NAME`.
 */
import { loadGraphModel, openTimeline, type Timeline } from '@talkmesh/inference';
import { installTools, installTrainingTools } from '../support/tools.js';
import { measureCalls } from './calls.js';
import { measureChunks } from './chunks.js';
import { measureCompile } from './compile.js';
import { measureConnects } from './connects.js';
import { measureDecoders } from './decoders.js';
import { measureHandover } from './handover.js';
import { measureHops } from './hops.js';
import { measureLatency } from './latency.js';
import { measureLips } from './lip-sync.js';
import { isInside, runInside } from './lossy-network.js';
import { measurePlans, measureWidePlans, plansTitle } from './plans.js';
import { measureProviders } from './providers.js';
import { measureRecording } from './recording.js';
import { roomStage } from './room-soak.js';
import { reportScale } from './scale-report.js';
import { measureScoreTraining } from './score-training.js';
import { loadRows, measureLoads, predictionRows } from './sessions.js';
import { checkSimulation } from './simulation/check.js';
import { runSoak, soakTables } from './soak.js';
import { measureStartup } from './startup.js';
import { formatTable, type Row } from './table.js';
import { measureVideoModel, VIDEO_WIDTHS } from './video-model.js';

const PARTS = ['hops', 'chunks', 'calls', 'compile'] as const;
type Part = (typeof PARTS)[number];
/** These run only when named, because they take long or need more than the mesh. */
const BY_NAME = [
  'score-training',
  'plans',
  'loads',
  'simulate',
  'check',
  'soak',
  'room-soak',
  'handover',
  'startup',
  'providers',
  'lip-sync',
  'latency',
  'decoder',
  'recording',
  'connects',
  'video-model',
] as const;
const SOAK_MINUTES = 60;

const args = process.argv.slice(2);
const json = args.includes('--json');
const named = PARTS.filter((part) => args.includes(part));
const wanted = new Set<Part>(named.length > 0 || BY_NAME.some((part) => args.includes(part)) ? named : PARTS);
/** `--name 12` */
function numberOf(name: string): number | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : Number(args[at + 1]);
}
/** `--width full` */
function widthOf(): (typeof VIDEO_WIDTHS)[number] {
  const wanted = args.includes('--width') ? args[args.indexOf('--width') + 1] : 'small';
  const known = VIDEO_WIDTHS.find((width) => width === wanted);
  if (known === undefined) throw new RangeError(`--width is one of ${VIDEO_WIDTHS.join(', ')}, not ${wanted}`);
  return known;
}
/** Measures with the timeline that TALKMESH_TIMELINE names. */
async function traced<T>(measure: (timeline: Timeline) => Promise<T>): Promise<T> {
  using timeline = openTimeline(process.env['TALKMESH_TIMELINE'] ?? '', 'bench');
  return await measure(timeline);
}
/** `--provider webgpu,cuda:0` */
const providersOf = (all: readonly string[], otherwise: string): string[] =>
  all.includes('--provider') ? (all[all.indexOf('--provider') + 1] ?? '').split(',') : [otherwise];
const say = (line: string): void => void process.stderr.write(`${line}\n`);

await installTools(say);
if (args.includes('score-training')) await installTrainingTools(say);
const [lossPercent, rateKbits] = [numberOf('--loss') ?? 0, numberOf('--rate-kbit')];
if ((lossPercent > 0 || rateKbits !== undefined) && !isInside())
  process.exit(await runInside({ lossPercent, rateKbits }, say));
const model = await loadGraphModel(process.env['TALKMESH_MODEL'] ?? 'models/nano');
const { width, height } = model.manifest;
const { chunkMs } = model.geometry;
const tables: Record<string, readonly Row[]> = {};
const titles: Record<string, string> = {
  hops: 'Hops over NATS, one message in flight',
  chunks: `One chunk (${chunkMs} ms of video), without the mesh`,
  compile: 'Graph compiler, one denoising pass on one thread; ratios of processor time',
  'score-training': 'One chunk on one thread, against PyTorch',
  plans: plansTitle(model.manifest.name),
  plansWide: plansTitle('random weights, 192 tokens, 4 steps'),
  sessions: 'Whole mesh, talks of 20 s at once, unpaced',
  stages: 'Stages of the first row',
  loads: 'Calls at real speed, more than admission accepts',
  predictions: 'The simulation against the same calls',
  capacity: 'What one worker pair holds (simulation)',
  check: 'The simulation against real services, chunks that wait instead of computing',
  scale: 'Many calls (simulation and arithmetic)',
  handover: 'kill -9 in the middle of speech, another worker takes over',
  startup: 'Start of each service alone until it is ready, with its child processes; medians',
  providers: 'Ways to compute: one chunk, float32, one thread; without a GPU, WebGPU runs on SwiftShader',
  decoder: 'Decoders: the same latents on one thread; a drawn avatar by the graph, a photograph by the mesh',
  lipSync: 'Lip sync in Chromium, from pixels and samples, windows of 1.6 s',
  received: 'What the browser received in these calls',
  connects: 'Viewers that hang up, close the page or crash, four at a time; none fails, no session is left',
  recording: 'webrtc-egress with a call at real speed, medians of three calls of 20 s each in turn',
  videoModel: 'One chunk of LiveTalk, part by part, random weights; the context is full',
  videoMachine: 'The machine, and what it took',
  latency: 'How long a caller waits, by what Chromium shows and plays',
  soak: 'One call for a long time',
  soakMemory: 'Memory of its processes, first and last quarter',
};
if (wanted.has('hops')) tables['hops'] = await measureHops(chunkMs, width, height);
if (wanted.has('chunks')) tables['chunks'] = await measureChunks(model);
if (wanted.has('calls')) Object.assign(tables, await measureCalls(model));
if (wanted.has('compile')) tables['compile'] = await measureCompile(model);
if (args.includes('score-training')) tables['score-training'] = await measureScoreTraining(model);
if (args.includes('loads')) {
  const loads = await measureLoads(model);
  Object.assign(tables, { loads: loadRows(loads), predictions: predictionRows(loads, model) });
}
if (args.includes('simulate'))
  Object.assign(tables, reportScale(model, numberOf('--score-ms'), numberOf('--decode-ms')));
if (args.includes('handover')) tables['handover'] = await measureHandover();
if (args.includes('startup')) tables['startup'] = await measureStartup(model.folder);
if (args.includes('providers'))
  tables['providers'] = await traced((timeline) => measureProviders(model, providersOf(args, 'webgpu'), timeline));
if (args.includes('lip-sync')) Object.assign(tables, await measureLips({ minutes: numberOf('--minutes') }));
if (args.includes('latency')) tables['latency'] = await measureLatency();
if (args.includes('decoder')) tables['decoder'] = await measureDecoders(model.folder);
if (args.includes('recording')) tables['recording'] = await measureRecording();
if (args.includes('connects')) tables['connects'] = await measureConnects(numberOf('--viewers') ?? 200);
if (args.includes('video-model'))
  Object.assign(
    tables,
    await measureVideoModel({
      size: numberOf('--size') ?? 128,
      width: widthOf(),
      provider: providersOf(args, 'cpu')[0] ?? '',
      say,
    }),
  );
if (args.includes('check')) tables['check'] = await checkSimulation();
if (args.includes('soak') || args.includes('room-soak')) {
  const seconds = 60 * (numberOf('--minutes') ?? SOAK_MINUTES);
  const where = args.includes('room-soak') && { open: roomStage };
  const report = await runSoak({ seconds, warmUpSeconds: seconds / 6, everySeconds: 10, say, ...where });
  Object.assign(tables, soakTables(report));
}
if (args.includes('plans'))
  await traced(async (timeline) => {
    tables['plans'] = await measurePlans(model, 9, timeline);
    tables['plansWide'] = await measureWidePlans(3, timeline);
  });
if (json) process.stdout.write(`${JSON.stringify({ model: model.label, tables }, null, 2)}\n`);
else
  for (const [name, rows] of Object.entries(tables))
    process.stdout.write(`${formatTable(titles[name] ?? name, rows)}\n\n`);
process.exit(0);
