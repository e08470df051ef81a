/**
 * Compiles a model's score network into a folder, for tools that cannot run the compiler: `timestep.onnx`, `score.onnx`
 * (conditions inside) and a copy of the weights that both read:
 *
 *     node --import tsx --conditions=source libs/inference/scripts/compile-score.ts MODEL_FOLDER OUT_FOLDER
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { graphManifest } from '@talkmesh/contracts';
import { compileTimestep, compileWhole, openWeights } from '../src/compile/index.js';

/** The part of `score.json` or `model.json` that describes the network. */
const facts = graphManifest.pick({ chunk: true, latent: true, score: true });

async function main(folder: string, out: string): Promise<void> {
  const { chunk, latent, score } = facts.parse(JSON.parse(await readFile(join(folder, 'score.json'), 'utf8')));
  const weights = await openWeights(folder, score.weights);
  const place = score.dit.cross?.tokens;
  const [tokens, dim] =
    place?.kind === 'frame' && place.place !== undefined ? weights.get(place.place).dims : [undefined, undefined];
  const geometry = {
    latentFrames: chunk.latentFrames,
    ...latent,
    ...(tokens === undefined || dim === undefined ? {} : { condition: { tokens, dim } }),
  };
  await mkdir(out, { recursive: true });
  for (const file of score.weights) await copyFile(join(folder, file), join(out, file));
  const [timestep, whole] = [
    compileTimestep(score.dit, weights),
    compileWhole(score.dit, weights, geometry, { condition: 'inside' }),
  ];
  await writeFile(join(out, 'timestep.onnx'), timestep.onnx);
  await writeFile(join(out, 'score.onnx'), whole.onnx);
}

const [folder, out] = process.argv.slice(2);
if (folder === undefined || out === undefined) {
  process.stderr.write('usage: compile-score.ts MODEL_FOLDER OUT_FOLDER\n');
  process.exitCode = 2;
} else await main(folder, out);
