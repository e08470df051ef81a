/** `npm run eval`: evaluates the frames of a model from decoded pixels, beside those of other models. */
import { spawn } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { chunkLengths } from '@talkmesh/contracts';
import { loadGraphModel } from '@talkmesh/inference';
import { formatTable } from '../bench/table.js';
import { installTools, installTrainingTools } from '../support/tools.js';
import { PHOTOGRAPHS, withAvatars } from './cast.js';
import { CARD, documentParts, PAGE, writeParts } from './documents.js';
import { hourTable, keepPlot, studyHour, writeHour } from './hour.js';
import { LandmarkWriter } from './landmarks.js';
import { type Counts, type Material, prepareMaterial } from './material.js';
import { type Evaluation, formatReport } from './report.js';
import { isMoved, Rollout, readLatents, readPcm } from './rollout.js';
import { writeVideos } from './side-by-side.js';
import { formatText } from './text.js';
import { studyTiers } from './tiers.js';

const HELP = `usage: npm run eval -- [options]
Evaluates a model from decoded pixels, on voices, words and avatars that were not in its training data: by probes fitted to drawn frames, and by an
independent judge, MediaPipe's face mesh.

  --model DIR       a model folder (default models/nano)
  --against DIR     another model folder to compare with, such as that of an earlier commit; repeated for several, the oldest first
  --clips N         clips of speech (default 12)
  --foreign N       clips of another voice (default 6)
  --rendered N      clips of rendered people (default 6)
  --photographed N  clips of photographed faces (default 4)
  --tiers           instead: the lengths of a chunk and the qualities of one model, by its latents and their cost, as one table
  --hour            instead: does a face stay the same through a long call? One drawn, one rendered, one photographed
  --minutes N       length of these calls, 2 to 600 (default 60)
  --write           also write the tables into the model card and docs/measurements; needs --against or --hour
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
        hour: { type: 'boolean', default: false },
        write: { type: 'boolean', default: false },
        model: { type: 'string', default: 'models/nano' },
        against: { type: 'string', multiple: true, default: [] },
        minutes: { type: 'string', default: '60' },
        clips: { type: 'string', default: '12' },
        foreign: { type: 'string', default: '6' },
        rendered: { type: 'string', default: '6' },
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
const onlySpeech = values.tiers || values.hour;
const material = join(out, onlySpeech ? 'speech' : 'material');
const minutes = Number(values.minutes);
if (!Number.isFinite(minutes) || minutes < 2 || minutes > 600) usage('--minutes is a number from 2 to 600');
function count(name: keyof Counts): number {
  if (!/^\d{1,4}$/.test(values[name])) usage(`--${name} is a number from 0 to 9999`);
  return Number(values[name]);
}
const counts: Counts = {
  ...{ clips: count('clips'), foreign: count('foreign') },
  ...{ rendered: count('rendered'), photographed: count('photographed') },
};
if (values.write && !values.hour && values.against.length === 0) usage('--write needs --against: the tables compare');
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

/** Generates and decodes all clips with one model, then measures the frames. @param run folder of its files */
async function evaluate(
  folder: string,
  run: string,
  { avatars, clips }: Material,
  landmarks: LandmarkWriter,
): Promise<Evaluation> {
  const model = await withAvatars(folder, avatars, join(material, 'avatars'), join(run, 'model'));
  const toRead = clips.map(({ id }) => join(run, id));
  {
    await using rollout = await Rollout.open(model, run);
    for (const [index, clip] of clips.entries()) {
      log(`${model.label}: ${clip.id} (${index + 1} of ${clips.length})`);
      await rollout.clip(clip, await readPcm(join(material, 'clips', `${clip.id}.pcm`)), 1000 + index);
      if (!isMoved(clip)) continue;
      await rollout.motion(clip, await readLatents(join(material, 'clips', `${clip.id}.latents`)));
      toRead.push(join(run, `${clip.id}.truth`));
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
await using landmarks = await LandmarkWriter.open({ width: 256, height: 256 });
const about = await prepareMaterial({
  ...{ folder: material, truth: !onlySpeech, landmarks, python, log },
  counts: values.hour ? { ...counts, foreign: 0, rendered: 0, photographed: 0 } : counts,
});
const drawn = about.clips.filter((clip) => !isMoved(clip));
if (values.tiers) {
  const folder = resolve(values.model);
  const { manifest, label } = await loadGraphModel(folder);
  const models = await Promise.all(
    chunkLengths(manifest).map((chunkLatentFrames) => loadGraphModel(folder, { chunkLatentFrames })),
  );
  const rows = await studyTiers({ models, clips: drawn, material, out: join(out, 'tiers'), python });
  const title = `${label}: lengths of a chunk and qualities, ${drawn.length} clips, one thread; ratios of the same run`;
  process.stdout.write(values.json ? `${JSON.stringify(rows, null, 1)}\n` : `${formatTable(title, rows)}\n`);
  process.exit(0);
}
if (values.hour) {
  const run = join(out, 'hour');
  await rm(run, { recursive: true, force: true });
  const model = await withAvatars(values.model, about.avatars, join(material, 'avatars'), join(run, 'model'));
  const faces = [
    { kind: 'drawn', avatar: about.avatars[0]?.id as string },
    { kind: 'rendered', avatar: about.avatars.find(({ decoder }) => decoder === 'mesh')?.id as string },
    { kind: 'photographed', avatar: PHOTOGRAPHS[0].id },
  ];
  const speech = await Promise.all(drawn.map(({ id }) => readPcm(join(material, 'clips', `${id}.pcm`))));
  const hour = await studyHour({ model, faces, speech, minutes, out: run, landmarks, python, log });
  const page = await writeHour(model.label, hour, out);
  if (values.write) {
    for (const document of [CARD, PAGE])
      await writeParts(document, { hour: `\`${model.label}\`\n\n${hourTable(hour)}` });
    await keepPlot(out);
  }
  process.stdout.write(values.json ? `${JSON.stringify(hour, null, 1)}\n` : `${hourTable(hour)}\n`);
  log(`report: ${page}`);
  process.exit(0);
}
const evaluations: Evaluation[] = [];
await rm(join(out, 'runs'), { recursive: true, force: true });
for (const [index, folder] of [...values.against, values.model].entries())
  evaluations.push(await evaluate(folder, join(out, 'runs', String(index)), about, landmarks));
log('writing videos');
const videos = await writeVideos(about.clips, material, evaluations, join(out, 'clips'));
const page = join(out, 'report.html');
await writeFile(page, await formatReport(evaluations, videos));
const plain = evaluations.map(({ folder: _folder, ...evaluation }) => evaluation);
await writeFile(join(out, 'report.json'), `${JSON.stringify(plain, null, 1)}\n`);
if (values.write)
  for (const [document, parts] of Object.entries(documentParts(evaluations))) await writeParts(document, parts);
process.stdout.write(values.json ? `${JSON.stringify(plain, null, 1)}\n` : formatText(evaluations));
log(`report: ${page}`);
process.exit(0);
