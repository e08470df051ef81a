/**
 * Draws photographs with the faces of `testing/mesh-poses.ts`, a row for each picture (PNG of the model's size), at half size. The golden picture
 * of the mesh decoder's test is
 *
 *     node --import tsx --conditions=source libs/inference/scripts/mesh-sheet.ts models/nano test/fixtures/mesh-golden.png test/fixtures/eileen-collins-face.png
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createOrtExecutor, loadGraphModel, PictureDecoderEngine } from '../src/index.js';
import { StillFaces } from '../src/testing/mesh-poses.js';
import { encodePng } from '../src/testing/png-writer.js';

const [folder, out, ...pictures] = process.argv.slice(2);
if (folder === undefined || out === undefined || pictures.length === 0) {
  process.stderr.write('usage: mesh-sheet.ts MODEL_FOLDER OUT.png PICTURE.png...\n');
  process.exitCode = 2;
} else {
  const ids = pictures.map((_, i) => `own-${String(i).padStart(16, '0')}`);
  const model = await loadGraphModel(folder, {
    ownPictures: async (id) => ({
      png: await readFile(pictures[ids.indexOf(id)] as string),
      landmarks: [
        [128, 170],
        [99, 121],
        [157, 121],
      ],
    }),
  });
  await using executor = createOrtExecutor({ threads: 1 });
  await using engine = await PictureDecoderEngine.load(model, executor);
  const { rgb, width, height } = await (await StillFaces.load(model)).sheet(engine, ids);
  await writeFile(out, encodePng(rgb, width, height, { filter: 4 }));
}
