/** `npm run eval`: evaluates the frames of a model from decoded pixels. Several models give one table with a column each. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadGraphModel } from '@talkmesh/inference';
import { formatTable } from '../bench/table.js';
import { installTools } from '../support/tools.js';
import { withAvatars } from './cast.js';
import { type Evaluation, formatReport } from './report.js';
import { type Clip, Rollout, readPcm } from './rollout.js';
import { formatText } from './text.js';
import { studyTiers } from './tiers.js';

const HELP = `usage: npm run eval -- [options]
Evaluates a model from decoded pixels, on voices, words and avatars that were not in its training data.

  --model DIR     a model folder, repeated for several in one table (default models/nano)
  --clips N       clips of speech (default 12)
  --foreign N     clips of another voice (default 6)
  --tiers         instead: the qualities of one model, by its latents and their cost, as one table
  --minutes N     length of one long call, 0 to 600 (default 60)
  --out DIR       folder of the report and its material (default eval-report)
  --json          print the figures as JSON
  --help
`;

function usage(problem: string): never {
  process.stderr.write(`${problem}\n\n${HELP}`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        tiers: { type: 'boolean', default: false },
        model: { type: 'string', multiple: true, default: ['models/nano'] },
        minutes: { type: 'string', default: '60' },
        clips: { type: 'string', default: '12' },
        foreign: { type: 'string', default: '6' },
        out: { type: 'string', default: 'eval-report' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    return usage((error as Error).message);
  }
}

const values = readArguments();
if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
const out = resolve(values.out);
const material = join(out, 'material');
const minutes = Number(values.minutes);
if (!Number.isFinite(minutes) || minutes < 0 || minutes > 600) usage('--minutes is a number from 0 to 600');
for (const [name, value] of Object.entries({ clips: values.clips, foreign: values.foreign }))
  if (!/^\d{1,4}$/.test(value)) usage(`--${name} is a number from 0 to 9999`);
const log = (line: string): void => void process.stderr.write(`${line}\n`);

/** Runs a module of the training package. @returns its standard output */
async function python(module: string, ...args: string[]): Promise<string> {
  const environment = { ...process.env, OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' };
  const child = spawn('/usr/bin/python3', ['-W', 'ignore', '-m', `talkmesh_nano.${module}`, ...args], {
    cwd: 'training',
    env: environment,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (text) => {
    output += String(text);
  });
  const code = await new Promise((done, failed) => child.once('close', done).once('error', failed));
  if (code !== 0) throw new Error(`talkmesh_nano.${module} ended with ${code}`);
  return output;
}

interface Material {
  readonly avatars: { id: string; style: string; landmarks: [[number, number], [number, number], [number, number]] }[];
  readonly clips: Clip[];
}

/** Generates and decodes all clips with one model, then measures the frames. */
async function evaluate(folder: string, { avatars, clips }: Material): Promise<Evaluation> {
  const run = join(out, 'runs', basename(resolve(folder)));
  await rm(run, { recursive: true, force: true });
  const model = await withAvatars(folder, avatars, join(material, 'avatars'), join(run, 'model'));
  {
    await using rollout = await Rollout.open(model, run);
    const pcmByClip = new Map<string, Int16Array>();
    for (const [index, clip] of clips.entries()) {
      log(`${model.label}: ${clip.id} (${index + 1} of ${clips.length})`);
      const pcm = await readPcm(join(material, 'clips', `${clip.id}.pcm`));
      pcmByClip.set(clip.id, pcm);
      await rollout.clip(clip, pcm, 1000 + index);
    }
    if (minutes > 0) {
      log(`${model.label}: a call of ${minutes} minutes`);
      const stretches = [...pcmByClip.values()].flatMap((pcm) => [
        { pcm, silent: false },
        { pcm: new Int16Array(pcm.length), silent: true },
      ]);
      await rollout.hour(avatars[0]?.id ?? '', stretches, minutes, 5);
    }
    await rollout.finish();
  }
  log(`${model.label}: evaluating`);
  const report = JSON.parse(await python('evaluate.decoded_frames', '--material', material, '--run', run)) as Omit<
    Evaluation,
    'folder'
  >;
  return { ...report, folder: run };
}

await installTools(log);
await rm(material, { recursive: true, force: true });
await mkdir(material, { recursive: true });
log('generating speech, avatars and their motion');
await python('evaluate.clips', '--out', material, '--clips', values.clips, '--foreign', values.foreign);
const about = JSON.parse(await readFile(join(material, 'material.json'), 'utf8')) as Material;
if (values.tiers) {
  const model = await loadGraphModel(resolve(values.model[0] ?? ''));
  const rows = await studyTiers({ model, clips: about.clips, material, out: join(out, 'tiers'), python });
  const title = `${model.label}: qualities, ${about.clips.length} clips, one thread; ratios of the same run`;
  process.stdout.write(values.json ? `${JSON.stringify(rows, null, 1)}\n` : `${formatTable(title, rows)}\n`);
  process.exit(0);
}
const evaluations: Evaluation[] = [];
for (const folder of values.model) evaluations.push(await evaluate(folder, about));
const page = join(out, 'report.html');
await writeFile(page, await formatReport(evaluations));
const plain = evaluations.map(({ folder: _folder, ...evaluation }) => evaluation);
await writeFile(join(out, 'report.json'), `${JSON.stringify(plain, null, 1)}\n`);
process.stdout.write(values.json ? `${JSON.stringify(plain, null, 1)}\n` : formatText(evaluations));
log(`report: ${page}`);
process.exit(0);
