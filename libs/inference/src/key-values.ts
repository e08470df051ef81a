import type { Executor, TensorHandle } from './executor.js';

/** Keys and values of one pass of one chunk at one noise level, [layers, tokens, dim] each; shared by counting. */
export class KeyValues {
  readonly keys: TensorHandle;
  readonly values: TensorHandle;
  readonly #executor: Executor;
  #users = 1;

  constructor(executor: Executor, keys: TensorHandle, values: TensorHandle) {
    this.#executor = executor;
    this.keys = keys;
    this.values = values;
  }

  get bytes(): number {
    return this.keys.bytes + this.values.bytes;
  }

  retain(): this {
    this.#users += 1;
    return this;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#executor.release(this.keys, this.values);
  }
}
