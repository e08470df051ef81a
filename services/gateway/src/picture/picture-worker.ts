import { parentPort, workerData } from 'node:worker_threads';
import { MeshError } from '@talkmesh/contracts';
import { PNG } from 'pngjs';
import { decodePicture, type Picture } from './decode-picture.js';
import type { PictureReply, PictureRequest, PictureThreadData } from './picture-protocol.js';
import { resampleSquare } from './resample.js';

/** Strangers' files are decoded here, away from the process that serves calls: this thread may run out of time or memory. */
const port = parentPort;
if (port === null) throw new Error('picture-worker runs as a worker thread');

const { bytes, maxPixels } = workerData as PictureThreadData;
const send = (reply: PictureReply): void => port.postMessage(reply);

function encode(rgb: Uint8Array, size: number): Uint8Array {
  const png = new PNG({ width: size, height: size });
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    png.data.set(rgb.subarray(from, from + 3), to);
    png.data[to + 3] = 255;
  }
  return PNG.sync.write(png, { colorType: 2 });
}

function answer(picture: Picture, request: PictureRequest): PictureReply {
  if (request.op === 'square') return { ok: true, bytes: resampleSquare(picture, request.square, request.size) };
  return { ok: true, bytes: Uint8Array.from(encode(request.rgb, request.size)) };
}

try {
  const picture = decodePicture(bytes, maxPixels);
  port.on('message', (request: PictureRequest) => send(answer(picture, request)));
  send({ ok: true, width: picture.width, height: picture.height });
} catch (error) {
  send({ ok: false, why: error instanceof MeshError ? error.message : 'the picture cannot be decoded' });
}
