import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { arch, platform } from 'node:process';

/** Path of the ONNX Runtime that onnxruntime-node carries for this machine. */
export function bundledOrtLibrary(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(main), '..', 'bin', 'napi-v6', platform, arch, 'libonnxruntime.so.1');
}
