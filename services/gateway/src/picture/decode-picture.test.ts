import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { CMYK_JPEG, chunk, jpg, PICTURE, PROGRESSIVE_JPEG, plainPng, png } from '../testing/pictures.js';
import { decodePicture, type Picture } from './decode-picture.js';
import { readHeader } from './picture-header.js';
import { resampleSquare } from './resample-square.js';

const MAX = 1_000_000;
const at = ({ width, rgb }: Picture, x: number, y: number): number[] => [
  ...rgb.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];
const near = (found: readonly number[], wanted: readonly number[], within: number): void =>
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - (wanted[i] as number)) <= within, `${found} is not ${wanted}`);
  });
const colour = (x: number, y: number): number[] => [10 * x, 15 * y, 6 * (x + y)];
const refused = (bytes: Uint8Array, why: RegExp, maxPixels = MAX): void =>
  assert.throws(() => decodePicture(bytes, maxPixels), { name: 'PictureError', message: why });

for (const [kind, bytes, within] of [
  ['8-bit PNG', png(), 0],
  ['16-bit PNG', png({ depth: 16 }), 0],
  ['PNG with alpha', png({ colour: 6 }), 0],
  ['baseline JPEG', jpg(), 14],
  ['progressive JPEG', PROGRESSIVE_JPEG, 28],
  ['CMYK JPEG', CMYK_JPEG, 28],
] as const)
  test(`a ${kind} is decoded to its original colours`, () => {
    const picture = decodePicture(bytes, MAX);
    assert.deepEqual([picture.width, picture.height], [PICTURE.width, PICTURE.height]);
    for (const [x, y] of [
      [3, 4],
      [20, 12],
    ] as const)
      near(at(picture, x, y), colour(x, y), within);
  });

test('transparent pixels become white; grey has three equal channels', () => {
  const picture = decodePicture(png({ colour: 6, transparentFrom: 12 }), MAX);
  assert.deepEqual(at(picture, 15, 8), [255, 255, 255]);
  assert.deepEqual(at(picture, 5, 8), colour(5, 8));
  const [r, g, b] = at(decodePicture(png({ colour: 0 }), MAX), 20, 12);
  assert.ok(r === g && g === b);
});

test('every EXIF orientation is turned upright', () => {
  // Position in the upright picture of the pixel that is stored at 3, 4 (CIPA DC-008, 4.6.4).
  const { width, height } = PICTURE;
  const [x, y, right, bottom] = [3, 4, width - 1 - 3, height - 1 - 4];
  const places: [number, number][] = [
    [x, y],
    [right, y],
    [right, bottom],
    [x, bottom],
    [y, x],
    [bottom, x],
    [bottom, right],
    [y, right],
  ];
  places.forEach(([u, v], i) => {
    const picture = decodePicture(jpg(i + 1), MAX);
    assert.equal(picture.width, i < 4 ? width : height);
    near(at(picture, u, v), colour(3, 4), 14);
  });
  assert.equal(readHeader(jpg(99)).orientation, 1, 'nonsense is upright');
});

test('a picture of one pixel can be decoded', () => {
  const picture = decodePicture(plainPng(1, 1), MAX);
  assert.deepEqual(
    [...picture.rgb],
    [200, 200, 200].map(() => at(picture, 0, 0)[0]),
  );
});

test('a truncated file is refused, never partly decoded', () => {
  for (const bytes of [png(), jpg(), PROGRESSIVE_JPEG, CMYK_JPEG])
    for (const share of [0.02, 0.3, 0.6, 0.9])
      refused(bytes.subarray(0, Math.floor(bytes.length * share)), /cut off|damaged|neither|no header/);
});

test('a size that is too large is refused before a pixel is decoded', () => {
  const bomb = png();
  bomb.writeUInt32BE(60_000, 16);
  bomb.writeUInt32BE(60_000, 20);
  const startMs = performance.now();
  refused(bomb, /60000x60000 pixels, more than 1 million/);
  assert.ok(performance.now() - startMs < 1000);
  const jpegBomb = jpg();
  const frame = jpegBomb.indexOf(Buffer.from([0xff, 0xc0]));
  jpegBomb.writeUInt16BE(65_000, frame + 5);
  jpegBomb.writeUInt16BE(65_000, frame + 7);
  refused(jpegBomb, /65000x65000/);
  refused(png(), /24x16 pixels/, 100);
});

test('a strip is refused before a pixel is decoded, lying or standing, PNG or JPEG', () => {
  refused(plainPng(1, 900), /1x900 pixels, one side more than 8 times/);
  refused(plainPng(900, 100), /900x100/);
  decodePicture(plainPng(800, 100), MAX);
  const strip = jpg();
  strip.writeUInt16BE(9000, strip.indexOf(Buffer.from([0xff, 0xc0])) + 7);
  refused(strip, /9000x16/);
});

test('a PNG that inflates to more than its header announces is refused while it inflates, interlaced or not', () => {
  const bomb = deflateSync(Buffer.alloc(64_000_000));
  for (const interlaced of [0, 1]) {
    const file = Buffer.from(png());
    file.writeUInt8(interlaced, 28);
    const before = process.memoryUsage().arrayBuffers;
    refused(Buffer.concat([file.subarray(0, 33), chunk('IDAT', bomb), chunk('IEND')]), /more data than the picture/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 8_000_000, 'nothing is kept of it');
  }
});

test('what follows the end of a picture, and a missing end marker after complete pixels, change nothing', () => {
  const [wantedPng, wantedJpg] = [decodePicture(png(), MAX), decodePicture(jpg(), MAX)];
  for (const tail of [png(), Buffer.from('trailing'), Buffer.alloc(20)]) {
    assert.deepEqual(decodePicture(Buffer.concat([png(), tail]), MAX), wantedPng);
    assert.deepEqual(decodePicture(Buffer.concat([jpg(), tail]), MAX), wantedJpg);
  }
  assert.deepEqual(decodePicture(png().subarray(0, -12), MAX), wantedPng, 'a PNG without IEND');
  assert.deepEqual(decodePicture(jpg().subarray(0, -2), MAX), wantedJpg, 'a JPEG without EOI');
});

test('a JPEG with thousands of scans is refused, because each passes over the whole picture', () => {
  const file = jpg();
  const scan = Buffer.from([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
  refused(Buffer.concat([file.subarray(0, -2), ...Array(200).fill(scan)]), /more than 100 scans/);
});

test('a header with a wrong size below the limit is refused', () => {
  const lying = png();
  lying.writeUInt32BE(100, 20);
  refused(lying, /damaged/);
});

test('animated, empty and unsupported files are refused', () => {
  const still = png();
  refused(Buffer.concat([still.subarray(0, 33), chunk('acTL', Buffer.alloc(8)), still.subarray(33)]), /animated/);
  refused(Buffer.from('GIF89a..........'), /neither/);
  refused(Buffer.alloc(0), /neither/);
  refused(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), /neither/);
  const empty = png();
  empty.writeUInt32BE(0, 16);
  refused(empty, /no pixels/);
  const lossless = jpg();
  lossless[lossless.indexOf(Buffer.from([0xff, 0xc0])) + 1] = 0xc3;
  refused(lossless, /lossless/);
  const looping = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xd9]);
  refused(looping, /damaged/);
});

test('a file with changed bytes is decoded or refused, and causes no other error', () => {
  let state = 7;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  for (const original of [png(), png({ depth: 16 }), jpg(6), PROGRESSIVE_JPEG, CMYK_JPEG])
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.from(original);
      for (let i = 0; i < 4; i++) bytes[2 + Math.floor(random() * (bytes.length - 2))] = Math.floor(random() * 256);
      try {
        decodePicture(bytes, 100_000);
      } catch (error) {
        assert.equal((error as Error).name, 'PictureError', String(error));
      }
    }
});

test('a resampled square keeps its colours at any size, and repeats the edge pixels', () => {
  const picture = decodePicture(png(), MAX);
  const same = resampleSquare(picture, { left: 2, top: 1, side: 8 }, 8);
  for (const [x, y] of [
    [0, 0],
    [7, 7],
    [3, 5],
  ] as const)
    assert.deepEqual([...same.subarray(3 * (8 * y + x), 3 * (8 * y + x) + 3)], colour(x + 2, y + 1));
  const small = resampleSquare(picture, { left: 4, top: 2, side: 12 }, 3);
  // The middle output pixel covers the middle four by four pixels.
  near([...small.subarray(12, 15)], colour(9.5, 7.5), 4);
  const beyond = resampleSquare(picture, { left: -8, top: 0, side: 8 }, 4);
  near([...beyond.subarray(0, 3)], colour(0, 0.5), 8);
});
