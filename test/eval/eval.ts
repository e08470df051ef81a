/**
 * `npm run eval [-- --json] [--model DIR ...] [--minutes N] [--clips N] [--foreign N] [--out DIR]`: judges a model's talking pictures from decoded
 * pixels, on voices, words and avatars that training never had. More than one model makes a study: one table, side by side.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { installTools } from '../support/tools.js';
import { withAvatars } from './cast.js';
import { formatReport, type Judgement } from './report.js';
import { type Clip, Rollout, readPcm } from './rollout.js';
import { formatText } from './text.js';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    model: { type: 'string', multiple: true, default: ['models/nano'] },
    minutes: { type: 'string', default: '60' },
    clips: { type: 'string', default: '12' },
    foreign: { type: 'string', default: '6' },
    out: { type: 'string', default: 'eval-report' },
  },
});
const out = resolve(values.out);
const material = join(out, 'material');
const minutes = Number(values.minutes);
if (!Number.isFinite(minutes) || minutes < 0 || minutes > 600) throw new Error('--minutes is a number from 0 to 600');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

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

/** One model, from sound to judgement. */
async function judge(folder: string, { avatars, clips }: Material): Promise<Judgement> {
  const run = join(out, 'runs', basename(resolve(folder)));
  await rm(run, { recursive: true, force: true });
  const model = await withAvatars(folder, avatars, join(material, 'avatars'), join(run, 'model'));
  {
    await using rollout = await Rollout.open(model, run);
    const sounds = new Map<string, Int16Array>();
    for (const [index, clip] of clips.entries()) {
      say(`${model.label}: ${clip.id} (${index + 1} of ${clips.length})`);
      const pcm = await readPcm(join(material, 'clips', `${clip.id}.pcm`));
      sounds.set(clip.id, pcm);
      await rollout.clip(clip, pcm, 1000 + index);
    }
    if (minutes > 0) {
      say(`${model.label}: a call of ${minutes} minutes`);
      const stretches = [...sounds.values()].flatMap((pcm) => [
        { pcm, silent: false },
        { pcm: new Int16Array(pcm.length), silent: true },
      ]);
      await rollout.hour(avatars[0]?.id ?? '', stretches, minutes, 5);
    }
    await rollout.finish();
  }
  say(`${model.label}: judging`);
  const report = JSON.parse(await python('eval_judge', '--material', material, '--run', run)) as Omit<
    Judgement,
    'folder'
  >;
  return { ...report, folder: run };
}

await installTools(say);
await rm(material, { recursive: true, force: true });
await mkdir(material, { recursive: true });
say('making speech, avatars and their motion');
await python('eval_material', '--out', material, '--clips', values.clips, '--foreign', values.foreign);
const about = JSON.parse(await readFile(join(material, 'material.json'), 'utf8')) as Material;
const judgements: Judgement[] = [];
for (const folder of values.model) judgements.push(await judge(folder, about));
const page = join(out, 'report.html');
await writeFile(page, await formatReport(judgements));
const plain = judgements.map(({ folder: _folder, ...judgement }) => judgement);
await writeFile(join(out, 'report.json'), `${JSON.stringify(plain, null, 1)}\n`);
process.stdout.write(values.json ? `${JSON.stringify(plain, null, 1)}\n` : formatText(judgements));
say(`report: ${page}`);
process.exit(0);
