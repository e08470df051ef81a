/** What every model is evaluated on: speech, faces, their true motion and what the judge reads in it. Kept, because it does not depend on the model. */
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { globSync } from '../support/glob.js';
import { type Extra, PHOTOGRAPHS, renderedPeople } from './cast.js';
import { JUDGE_NETS, type LandmarkWriter } from './landmarks.js';
import { type Clip, isMoved } from './rollout.js';

export interface Material {
  /** Drawn faces first, then rendered people. */
  readonly avatars: readonly Extra[];
  readonly clips: readonly Clip[];
}

/** How many clips of each set. */
export interface Counts {
  readonly clips: number;
  readonly foreign: number;
  readonly rendered: number;
  readonly photographed: number;
}

export interface MaterialOptions {
  readonly folder: string;
  readonly counts: Counts;
  /** Whether the frames of the true motion are drawn and read too. */
  readonly truth: boolean;
  readonly landmarks: LandmarkWriter;
  /** Runs a module of the training package. @returns its standard output */
  python(module: string, ...args: string[]): Promise<string>;
  log(line: string): void;
}

/** The code that makes the material. */
const CODE = ['training/talkmesh_nano', 'libs/inference/src', 'test/eval'];
const MADE_BY =
  /\/(dataset|decoder|motion|render|speech)\/[^/]+\.(py|json)$|\/evaluate\/(clips|decoded_frames|pixel_probe|speech)\.py$|\/face-(detector|mesh|judge)\.ts$|\/eval\/(cast|landmarks|material)\.ts$/;

/** Makes the material in its folder, unless it is there: made with the same numbers by the same code, pictures and nets. */
export async function prepareMaterial({ folder, counts, truth, ...options }: MaterialOptions): Promise<Material> {
  const { landmarks, python, log } = options;
  const people = await renderedPeople();
  const pictures = [...PHOTOGRAPHS, ...people];
  const key = await hashOf([...globSync(CODE, MADE_BY), ...JUDGE_NETS, ...pictures.map(({ path }) => path)], {
    counts,
    truth,
  });
  const keyFile = join(folder, 'key');
  const there = (await readFile(keyFile, 'utf8').catch(() => undefined)) === key;
  log(there ? 'the material is there' : 'generating speech, avatars and their motion');
  if (!there) {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await python(
      ...(['evaluate.clips', '--out', folder] as const),
      ...['--clips', String(counts.clips), '--foreign', String(counts.foreign)],
      ...['--people', ...people.map(({ id }) => id), '--rendered', String(counts.rendered)],
      ...['--photographs', ...PHOTOGRAPHS.map(({ id }) => id), '--photographed', String(counts.photographed)],
    );
    for (const { id, path } of pictures) await cp(path, join(folder, 'avatars', `${id}.png`));
  }
  const { avatars, clips } = JSON.parse(await readFile(join(folder, 'material.json'), 'utf8')) as Material;
  if (truth && !there) {
    log('drawing the true motion');
    await python('evaluate.decoded_frames', '--material', folder);
    const drawn = clips.filter((clip) => !isMoved(clip));
    log(`reading landmarks of ${drawn.length} drawn clips`);
    for (const { id } of drawn) await landmarks.write(join(folder, 'clips', `${id}.truth`));
  }
  await writeFile(keyFile, key);
  return { avatars: [...avatars, ...people], clips };
}

async function hashOf(paths: readonly string[], options: object): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(options));
  for (const path of paths) hash.update(path).update(await readFile(path));
  return hash.digest('hex');
}
