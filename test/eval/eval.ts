/** `npm run eval`: evaluates the frames of a model from decoded pixels. Several models give one table with a column each. */
import { spawn } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { loadGraphModel } from '@talkmesh/inference';
import { formatTable } from '../bench/table.js';
import { installTools, installTrainingTools } from '../support/tools.js';
import { PHOTOGRAPHS, withAvatars } from './cast.js';
import { LandmarkWriter } from './landmarks.js';
import { type Evaluation, formatReport } from './report.js';
import { type Clip, Rollout, readLatents, readPcm } from './rollout.js';
import { writeVideos } from './side-by-side.js';
import { formatText } from './text.js';
import { studyTiers } from './tiers.js';

const HELP = `usage: npm run eval -- [options]
Evaluates a model from decoded pixels, on voices, words and avatars that were not in its training data: by probes fitted to drawn frames, and by an
independent judge, MediaPipe's face mesh.

  --model DIR       a model folder, repeated for several in one table, the oldest first (default models/nano)
  --clips N         clips of speech (default 12)
  --foreign N       clips of another voice (default 6)
  --photographed N  clips of photographed faces (default 4)
  --minutes N       length of two long calls, one with a photographed face, 0 to 600 (default 60)
  --tiers           instead: the qualities of one model, by its latents and their cost, as one table
  --out DIR         folder of the report and its material (default eval-report)
  --json            print the figures as JSON
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
        photographed: { type: 'string', default: '4' },
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
const { clips, foreign, photographed } = values;
for (const [name, value] of Object.entries({ clips, foreign, photographed }))
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

/** The long calls: files are named after them. */
const CALLS: readonly { readonly name: string; readonly photograph?: string }[] = [
  { name: 'hour' },
  { name: 'hour-photographed', photograph: PHOTOGRAPHS[0].id },
];

interface Material {
  readonly avatars: { id: string; style: string; landmarks: [[number, number], [number, number], [number, number]] }[];
  readonly clips: Clip[];
}

/** Generates and decodes all clips with one model, then measures the frames. */
async function evaluate(folder: string, { avatars, clips }: Material, landmarks: LandmarkWriter): Promise<Evaluation> {
  const run = join(out, 'runs', basename(resolve(folder)));
  await rm(run, { recursive: true, force: true });
  const model = await withAvatars(folder, avatars, join(material, 'avatars'), join(run, 'model'));
  const toRead = clips.map(({ id }) => join(run, id));
  {
    await using rollout = await Rollout.open(model, run);
    const pcmByClip = new Map<string, Int16Array>();
    for (const [index, clip] of clips.entries()) {
      log(`${model.label}: ${clip.id} (${index + 1} of ${clips.length})`);
      const pcm = await readPcm(join(material, 'clips', `${clip.id}.pcm`));
      pcmByClip.set(clip.id, pcm);
      await rollout.clip(clip, pcm, 1000 + index);
      if (clip.set !== 'photographed') continue;
      await rollout.motion(clip, await readLatents(join(material, 'clips', `${clip.id}.latents`)));
      toRead.push(join(run, `${clip.id}.truth`));
    }
    if (minutes > 0) {
      const stretches = [...pcmByClip.values()].flatMap((pcm) => [
        { pcm, silent: false },
        { pcm: new Int16Array(pcm.length), silent: true },
      ]);
      for (const call of CALLS) {
        const avatar = call.photograph ?? (avatars[0]?.id as string);
        log(`${model.label}: a call of ${minutes} minutes with ${avatar}`);
        toRead.push(...(await rollout.hour({ name: call.name, avatar }, stretches, minutes, 5)));
      }
    }
    await rollout.finish();
  }
  log(`${model.label}: reading landmarks of ${toRead.length} clips`);
  for (const path of toRead) await landmarks.write(path);
  log(`${model.label}: evaluating`);
  const report = JSON.parse(await python('evaluate.decoded_frames', '--material', material, '--run', run)) as Omit<
    Evaluation,
    'folder'
  >;
  return { ...report, folder: run };
}

await installTools(log);
await installTrainingTools(log);
await rm(material, { recursive: true, force: true });
await mkdir(material, { recursive: true });
log('generating speech, avatars and their motion');
const ids = PHOTOGRAPHS.map(({ id }) => id);
const sizes = ['--clips', clips, '--foreign', foreign, '--photographed', photographed, '--photographs', ...ids];
await python('evaluate.clips', '--out', material, ...sizes);
for (const { id, path } of PHOTOGRAPHS) await cp(path, join(material, 'avatars', `${id}.png`));
const about = JSON.parse(await readFile(join(material, 'material.json'), 'utf8')) as Material;
const drawn = about.clips.filter(({ set }) => set !== 'photographed');
if (values.tiers) {
  const model = await loadGraphModel(resolve(values.model[0] ?? ''));
  const rows = await studyTiers({ model, clips: drawn, material, out: join(out, 'tiers'), python });
  const title = `${model.label}: qualities, ${drawn.length} clips, one thread; ratios of the same run`;
  process.stdout.write(values.json ? `${JSON.stringify(rows, null, 1)}\n` : `${formatTable(title, rows)}\n`);
  process.exit(0);
}
log('drawing the true motion');
await python('evaluate.decoded_frames', '--material', material);
await using landmarks = await LandmarkWriter.open({ width: 256, height: 256 });
log(`reading landmarks of ${drawn.length} drawn clips`);
for (const { id } of drawn) await landmarks.write(join(material, 'clips', `${id}.truth`));
const evaluations: Evaluation[] = [];
for (const folder of values.model) evaluations.push(await evaluate(folder, about, landmarks));
log('writing videos');
const videos = await writeVideos(about.clips, material, evaluations, join(out, 'clips'));
const page = join(out, 'report.html');
await writeFile(page, await formatReport(evaluations, videos));
const plain = evaluations.map(({ folder: _folder, ...evaluation }) => evaluation);
await writeFile(join(out, 'report.json'), `${JSON.stringify(plain, null, 1)}\n`);
process.stdout.write(values.json ? `${JSON.stringify(plain, null, 1)}\n` : formatText(evaluations));
log(`report: ${page}`);
process.exit(0);
