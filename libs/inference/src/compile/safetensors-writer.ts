/** A tensor to write. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly dims: readonly number[];
  /** F32. */
  readonly values: Float32Array;
}

/** Encodes a `.safetensors` file of float32 tensors, with 8-byte aligned data; for fixtures and merged weights. */
export function encodeSafetensors(tensors: readonly SafetensorsTensor[]): Uint8Array {
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const { name, dims, values } of tensors) {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count !== values.length) throw new RangeError(`${name}: [${dims}] has ${count} values, not ${values.length}`);
    header[name] = { dtype: 'F32', shape: dims, data_offsets: [at, at + values.byteLength] };
    at += values.byteLength;
  }
  const text = JSON.stringify(header);
  const body = Buffer.from(text + ' '.repeat(-Buffer.byteLength(text) & 7));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(body.length));
  const data = tensors.map(({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return Buffer.concat([length, body, ...data]);
}
