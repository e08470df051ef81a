/** The images that the node runs: the six services as deploy/docker builds them, NATS, and the container that holds a pod together. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { ImageStore } from '../docker/proof/image-store.js';
import { NATS_IMAGE, PAUSE_IMAGE } from './image-names.js';
import { CACHE, pathOf } from './programs.js';

const DOCKERFILES = join(import.meta.dirname, 'images');
const FOLDER = join(CACHE, 'images');
/** Archive with all images. */
export const IMAGE_ARCHIVE = join(CACHE, 'images.tar');
/** webrtc-egress records calls with ffmpeg. */
const ARGS: Readonly<Partial<Record<ServiceName, readonly string[]>>> = {
  'webrtc-egress': ['DEBIAN_PACKAGES=ffmpeg'],
};
/** Which images it holds. */
const SAVED = join(CACHE, 'images.json');

/** Whether images were built once, so that building them again takes seconds to a few minutes. */
export const hasImages = (): boolean => existsSync(SAVED);

/** Builds the images as they are in the working tree and puts them into IMAGE_ARCHIVE. */
export async function buildImages(say: (line: string) => void): Promise<void> {
  const store = new ImageStore(FOLDER);
  const built = async (what: string, build: Promise<void>): Promise<void> => {
    const begin = performance.now();
    await build;
    say(`  ${what} after ${Math.round((performance.now() - begin) / 1000)} s`);
  };
  say(`building images into ${FOLDER}: about 10 minutes the first time`);
  await built('base image', store.makeBase());
  for (const service of SERVICES) await built(service, store.buildService(service, ARGS[service]));
  const context = join(FOLDER, 'context');
  await mkdir(context, { recursive: true });
  await copyFile(pathOf('nats-server'), join(context, 'nats-server'));
  await built('nats', store.buildIn(context, join(DOCKERFILES, 'nats.Dockerfile'), NATS_IMAGE));
  await built('pause', store.buildIn(context, join(DOCKERFILES, 'pause.Dockerfile'), PAUSE_IMAGE));
  const names = [...SERVICES.map((service) => store.nameOf(service)), NATS_IMAGE, PAUSE_IMAGE];
  const identifiers = JSON.stringify(await store.identify(names));
  if (existsSync(SAVED) && (await readFile(SAVED, 'utf8')) === identifiers) return;
  await rm(SAVED, { force: true });
  await built('archive for the node', store.saveTo(IMAGE_ARCHIVE, names));
  await writeFile(SAVED, identifiers);
}
