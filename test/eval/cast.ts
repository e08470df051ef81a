import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AvatarManifest, graphManifest, modelManifest } from '@talkmesh/contracts';
import { loadModel, type Model } from '@talkmesh/inference';

/** An avatar of the evaluation, as `evaluate.clips` writes it. */
export interface Extra {
  readonly id: string;
  readonly style: string;
  readonly landmarks: AvatarManifest['landmarks'];
  readonly decoder?: 'graph' | 'mesh' | undefined;
}

/** The rendered people that ship, whatever models are evaluated, with the files of their pictures. */
export async function renderedPeople(): Promise<(Extra & { readonly path: string })[]> {
  const folder = 'models/nano';
  const { avatars } = graphManifest.parse(JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')));
  return avatars
    .filter(({ decoder }) => decoder === 'mesh')
    .map(({ id, style, landmarks, decoder, image }) => ({ id, style, landmarks, decoder, path: join(folder, image) }));
}

/** Photographed faces in the public domain (test/fixtures/README.md), as users upload them. */
export const PHOTOGRAPHS = [
  { id: 'own-0000000000000001', name: 'Grace Hopper', path: 'test/fixtures/grace-hopper-face.png' },
  { id: 'own-0000000000000002', name: 'Eileen Collins', path: 'test/fixtures/eileen-collins-face.png' },
] as const;
/** What a face is called in reports. */
export const faceName = (id: string): string => PHOTOGRAPHS.find((one) => one.id === id)?.name ?? id;
/** Both pictures were cut out so that mouth and eyes are here. */
const LANDMARKS: AvatarManifest['landmarks'] = [
  [128, 170],
  [99, 121],
  [157, 121],
];

/** The model in `folder` with the evaluation's avatars instead of its own, as a checked copy in `to`; photographs are users' own pictures. */
export async function withAvatars(
  folder: string,
  extras: readonly Extra[],
  pictures: string,
  to: string,
): Promise<Model> {
  await mkdir(join(to, 'avatars'), { recursive: true });
  const manifest = modelManifest.parse(JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')));
  const own = new Set(manifest.avatars.map((avatar) => avatar.image));
  const files = manifest.files.filter((file) => !own.has(file.path));
  for (const { path } of files) await cp(join(folder, path), join(to, path));
  const avatars: AvatarManifest[] = [];
  for (const { id, style, landmarks, decoder } of extras) {
    const image = `avatars/${id}.png`;
    const bytes = await readFile(join(pictures, `${id}.png`));
    await writeFile(join(to, image), bytes);
    files.push({ path: image, bytes: bytes.byteLength, sha256: createHash('sha256').update(bytes).digest('hex') });
    avatars.push({ id, name: id, style, image, landmarks, ...(decoder && { decoder }) });
  }
  await writeFile(join(to, 'model.json'), JSON.stringify({ ...manifest, files, avatars }));
  return loadModel(to, {
    ownPictures: async (id) => {
      const photograph = PHOTOGRAPHS.find((one) => one.id === id);
      return photograph && { png: await readFile(photograph.path), landmarks: LANDMARKS };
    },
  });
}
