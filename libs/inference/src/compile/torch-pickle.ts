/**
 * Reads the pickle of a torch.save file, strictly: it knows the operations that a dictionary of tensors needs, and five names of
 * PyTorch. Nothing is executed; any other name or operation is refused.
 */

export interface Storage {
  /** Type in the safetensors format. */
  readonly type: string;
  /** Name of the archive's entry below `data/`. */
  readonly key: string;
  readonly values: number;
}

export interface PickledTensor {
  readonly storage: Storage;
  /** First value in the storage. */
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
}

/** What this file's pickles consist of. */
export type Pickled =
  | null
  | boolean
  | number
  | string
  | readonly Pickled[]
  | ReadonlyMap<Pickled, Pickled>
  | { readonly storage: Storage }
  | { readonly tensor: PickledTensor }
  | { readonly name: string };

const STORAGES: Readonly<Record<string, string>> = {
  'torch FloatStorage': 'F32',
  'torch HalfStorage': 'F16',
  'torch BFloat16Storage': 'BF16',
  'torch DoubleStorage': 'F64',
  'torch LongStorage': 'I64',
  'torch IntStorage': 'I32',
  'torch BoolStorage': 'BOOL',
  'torch ByteStorage': 'U8',
};
const [DICTIONARY, TENSOR, PARAMETER] = [
  'collections OrderedDict',
  'torch._utils _rebuild_tensor_v2',
  'torch._utils _rebuild_parameter',
];
const ALLOWED: ReadonlySet<string> = new Set([DICTIONARY, TENSOR, PARAMETER, ...Object.keys(STORAGES)]);
const MARK = Symbol('mark');

/** @throws Error for operations and names that a dictionary of tensors does not need */
export function readPickle(bytes: Buffer): Pickled {
  return new PickleReader(bytes).read();
}

class PickleReader {
  readonly #bytes: Buffer;
  readonly #stack: (Pickled | typeof MARK)[] = [];
  readonly #memo = new Map<number, Pickled>();
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): Pickled {
    for (;;) {
      const operation = this.#take(1)[0] as number;
      if (operation === 0x2e) return this.#pop();
      this.#step(operation);
    }
  }

  #step(operation: number): void {
    const code = String.fromCharCode(operation);
    const value = this.#value(code);
    if (value !== undefined) this.#stack.push(value);
    else this.#act(code);
  }

  /** The value that an operation pushes; undefined for operations that push none. */
  #value(code: string): Pickled | undefined {
    switch (code) {
      case '}':
        return new Map();
      case ']':
      case ')':
        return [];
      case 'N':
        return null;
      case '\x88':
      case '\x89':
        return code === '\x88';
      case 'K':
        return this.#take(1)[0];
      case 'M':
        return this.#take(2).readUInt16LE();
      case 'J':
        return this.#take(4).readInt32LE();
      case '\x8a':
        return this.#long();
      case 'G':
        return this.#take(8).readDoubleBE();
      case 'X':
        return this.#text(this.#take(4).readUInt32LE());
      case '\x8c':
        return this.#text(this.#take(1)[0] as number);
      case 't':
        return this.#sinceMark();
      case '\x85':
      case '\x86':
      case '\x87':
        return this.#popMany(code.charCodeAt(0) - 0x84);
      case 'h':
        return this.#kept(this.#take(1)[0] as number);
      case 'j':
        return this.#kept(this.#take(4).readUInt32LE());
      case 'c':
        return named(`${this.#line()} ${this.#line()}`);
      case '\x93':
        return named(this.#popMany(2).join(' '));
      case 'Q':
        return { storage: storageOf(this.#pop()) };
      case 'R': {
        const given = this.#pop();
        return call(this.#pop(), given);
      }
      default:
        return undefined;
    }
  }

  #act(code: string): void {
    switch (code) {
      case '\x80':
        this.#protocol();
        break;
      case '\x95':
        this.#take(8);
        break;
      case '(':
        this.#stack.push(MARK);
        break;
      case 'q':
        this.#memo.set(this.#take(1)[0] as number, this.#top());
        break;
      case 'r':
        this.#memo.set(this.#take(4).readUInt32LE(), this.#top());
        break;
      case '\x94':
        this.#memo.set(this.#memo.size, this.#top());
        break;
      case 's':
        this.#setItems(this.#popMany(2));
        break;
      case 'u':
        this.#setItems(this.#sinceMark());
        break;
      case 'a':
        this.#append(this.#popMany(1));
        break;
      case 'e':
        this.#append(this.#sinceMark());
        break;
      case 'b':
        this.#build(this.#pop());
        break;
      default:
        throw new Error(`operation ${JSON.stringify(code)} at ${this.#at - 1} is not one of a dictionary of tensors`);
    }
  }

  #protocol(): void {
    const version = this.#take(1)[0] as number;
    if (version < 2 || version > 5) throw new Error(`protocol ${version} of pickle is not supported`);
  }

  #take(count: number): Buffer {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw new Error('the pickle is cut off');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  #text(count: number): string {
    return this.#take(count).toString('utf8');
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw new Error('the pickle is cut off');
    const text = this.#text(end - this.#at);
    this.#at += 1;
    return text;
  }

  #long(): number {
    const count = this.#take(1)[0] as number;
    if (count > 8) throw new Error(`an integer of ${count} bytes is too large`);
    return count === 0
      ? 0
      : Number(
          BigInt.asIntN(
            8 * count,
            this.#take(count).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n),
          ),
        );
  }

  #top(): Pickled {
    const top = this.#stack.at(-1);
    if (top === undefined || top === MARK) throw new Error('the pickle takes a value that is not there');
    return top;
  }

  #pop(): Pickled {
    const top = this.#top();
    this.#stack.pop();
    return top;
  }

  #popMany(count: number): Pickled[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #sinceMark(): Pickled[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw new Error('the pickle takes a value that is not there');
    const values = this.#stack.splice(mark).slice(1);
    return values as Pickled[];
  }

  #kept(index: number): Pickled {
    const value = this.#memo.get(index);
    if (value === undefined) throw new Error(`the pickle reads value ${index}, which it did not keep`);
    return value;
  }

  #setItems(items: readonly Pickled[]): void {
    const target = this.#top();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw new Error('the pickle sets items of no dictionary');
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  #append(items: readonly Pickled[]): void {
    const target = this.#top();
    if (!Array.isArray(target)) throw new Error('the pickle appends to no list');
    target.push(...items);
  }

  /** A state dictionary carries versions of its modules as an attribute; they are dropped. */
  #build(state: Pickled): void {
    if (!(this.#top() instanceof Map && state instanceof Map))
      throw new Error('the pickle sets attributes of no dictionary');
  }
}

function named(name: string): { readonly name: string } {
  if (!ALLOWED.has(name))
    throw new Error(
      `it names ${name.replace(' ', '.')}, which is not part of a dictionary of tensors; it may be hostile`,
    );
  return { name };
}

function call(callee: Pickled, given: Pickled): Pickled {
  const name = isObject(callee, 'name') ? callee.name : undefined;
  const list = Array.isArray(given) ? (given as readonly Pickled[]) : [];
  if (name === DICTIONARY && list.length === 0) return new Map();
  if (name === TENSOR) return { tensor: tensorOf(list) };
  const [first] = list;
  if (name === PARAMETER && isObject(first, 'tensor')) return first;
  throw new Error('the pickle calls something other than the builders of tensors and dictionaries');
}

function storageOf(id: Pickled): Storage {
  const [kind, type, key, , values] = Array.isArray(id) ? (id as readonly Pickled[]) : [];
  const name = isObject(type, 'name') ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || name === undefined || typeof key !== 'string' || !isCount(values))
    throw new Error('the pickle refers to something other than the storage of a tensor');
  return { type: name, key, values };
}

function tensorOf([storage, offset, dims, strides]: readonly Pickled[]): PickledTensor {
  if (!isObject(storage, 'storage') || !isCount(offset) || !isCounts(dims) || !isCounts(strides))
    throw new Error('the pickle builds a tensor from wrong values');
  return { storage: storage.storage, offset, dims, strides };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(isCount);

function isObject<Key extends string>(
  value: Pickled | undefined,
  key: Key,
): value is Extract<Pickled, Record<Key, unknown>> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map) && key in value
  );
}
