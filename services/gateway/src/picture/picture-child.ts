import { PNG } from 'pngjs';
import { decodePicture, type Picture } from './decode-picture.js';
import { PictureError } from './picture-header.js';
import type { PictureReply, PictureRequest } from './picture-protocol.js';
import { resampleSquare } from './resample-square.js';

/** Untrusted files are decoded in this process, which has limits of its own and knows no secrets: see picture-process.ts. */
let picture: Picture | undefined;

function encode(rgb: Uint8Array, size: number): Uint8Array {
  const png = new PNG({ width: size, height: size });
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    png.data.set(rgb.subarray(from, from + 3), to);
    png.data[to + 3] = 255;
  }
  return PNG.sync.write(png, { colorType: 2 });
}

function answer(request: PictureRequest): PictureReply {
  if (request.op === 'decode') {
    picture = decodePicture(request.bytes, request.maxPixels);
    return { ok: true, width: picture.width, height: picture.height };
  }
  if (request.op === 'png') return { ok: true, bytes: encode(request.rgb, request.size) };
  if (picture === undefined) throw new PictureError('no picture was decoded yet');
  return { ok: true, bytes: resampleSquare(picture, request.square, request.size) };
}

process.on('message', (request: PictureRequest) => {
  try {
    process.send?.(answer(request));
  } catch (error) {
    const why = error instanceof PictureError ? error.message : 'the picture cannot be decoded: save it again';
    process.send?.({ ok: false, why } satisfies PictureReply);
  }
});
process.on('disconnect', () => process.exit());
