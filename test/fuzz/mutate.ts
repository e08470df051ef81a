/** Numbers that parsers get wrong: limits of widths and signs, and sizes that ask for too much memory. */
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const WORDS = [
  '\0',
  '\r\n',
  '"',
  '{',
  '[',
  ']',
  '}',
  '-1',
  '1e999',
  'null',
  '../',
  '\u{1f642}',
  '__proto__',
  '%00',
  'A'.repeat(300),
];

const CHANGES: readonly ((bytes: Buffer, random: () => number) => Buffer)[] = [
  (bytes, random) => {
    bytes[at(bytes, random)] = Math.floor(random() * 256);
    return bytes;
  },
  (bytes, random) => {
    const index = at(bytes, random);
    bytes[index] = (bytes[index] ?? 0) ^ (1 << Math.floor(random() * 8));
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, at(bytes, random)),
  (bytes, random) => {
    const [a, b] = [at(bytes, random), at(bytes, random)];
    return Buffer.concat([bytes.subarray(0, Math.min(a, b)), bytes.subarray(Math.max(a, b))]);
  },
  (bytes, random) => {
    const [a, b] = [at(bytes, random), at(bytes, random)];
    return Buffer.concat([bytes.subarray(0, Math.max(a, b)), bytes.subarray(Math.min(a, b))]);
  },
  (bytes, random) => {
    const value = pick(NUMBERS, random);
    const width = pick([1, 2, 4], random);
    const index = Math.floor(random() * Math.max(1, bytes.length - width));
    for (let i = 0; i < width && index + i < bytes.length; i++)
      bytes[index + i] = (value >>> (random() < 0.5 ? 8 * i : 8 * (width - 1 - i))) & 255;
    return bytes;
  },
  (bytes, random) => {
    const index = at(bytes, random);
    return Buffer.concat([bytes.subarray(0, index), Buffer.from(pick(WORDS, random)), bytes.subarray(index)]);
  },
];

/** One to five changes of one of the samples, each of which is valid. */
export function mutate(samples: readonly Uint8Array[], random: () => number): Buffer {
  let bytes: Buffer = Buffer.from(pick(samples, random));
  for (let changes = 1 + Math.floor(random() * 5); changes > 0; changes--) bytes = pick(CHANGES, random)(bytes, random);
  return bytes;
}

const at = (bytes: Buffer, random: () => number): number => Math.floor(random() * bytes.length);
const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T;
