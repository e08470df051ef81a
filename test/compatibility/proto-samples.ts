/** Messages of gRPC by their descriptors: for every method and side, one with each field of its message set. */
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { LOADER_OPTIONS, PROTO_FILES } from '@talkmesh/contracts/protos';

type Side = 'request' | 'response';
interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface MessageType {
  readonly field: readonly Field[];
  readonly nestedType: readonly (MessageType & { readonly name: string })[];
  readonly enumType: readonly EnumType[];
}
interface EnumType {
  readonly name: string;
  readonly value: readonly { readonly name: string }[];
}
interface Method {
  readonly path: string;
  readonly requestType: { readonly type: object };
  readonly responseType: { readonly type: object };
  requestSerialize(message: object): Buffer;
  requestDeserialize(bytes: Buffer): object;
  responseSerialize(message: object): Buffer;
  responseDeserialize(bytes: Buffer): object;
}

/** One side of a method: its messages to and from bytes. */
export interface Codec {
  encode(message: object): Buffer;
  decode(bytes: Buffer): object;
  /** One message for each field. */
  readonly samples: readonly object[];
}

const PACKAGE = 'talkmesh.v1';
const SCALARS: Readonly<Record<string, unknown>> = {
  TYPE_STRING: 'text',
  TYPE_BYTES: Buffer.from([1, 2, 255]),
  TYPE_BOOL: true,
  TYPE_DOUBLE: 0.25,
  TYPE_FLOAT: 0.25,
};

export const loadProtos = (folder: string): PackageDefinition =>
  loadSync(
    PROTO_FILES.map((name) => `talkmesh/v1/${name}.proto`),
    { ...LOADER_OPTIONS, includeDirs: [folder] },
  );

/** Codecs by the path of the method and the side. */
export function codecsOf(definition: PackageDefinition): ReadonlyMap<string, Codec> {
  const codecs = new Map<string, Codec>();
  for (const service of Object.values(definition)) {
    if ('format' in service) continue;
    for (const method of Object.values(service) as unknown as Method[])
      for (const side of ['request', 'response'] as const)
        codecs.set(`${method.path} ${side}`, codecOf(definition, method, side));
  }
  return codecs;
}

function codecOf(definition: PackageDefinition, method: Method, side: Side): Codec {
  const { type } = method[`${side}Type`];
  const { field: fields } = type as MessageType;
  return {
    encode: (message) => method[`${side}Serialize`](message),
    decode: (bytes) => method[`${side}Deserialize`](bytes),
    samples: fields.map((field) => ({ [field.name]: fieldValue(definition, type as MessageType, field) })),
  };
}

function fieldValue(definition: PackageDefinition, parent: MessageType, field: Field): unknown {
  const nested = parent.nestedType.find(({ name }) => name === field.typeName);
  if (nested?.field.map(({ name }) => name).join() === 'key,value') return { text: 'text' };
  const value = oneValue(definition, parent, field);
  return field.label === 'LABEL_REPEATED' ? [value] : value;
}

function oneValue(definition: PackageDefinition, parent: MessageType, { type, typeName }: Field): unknown {
  const declared = (
    definition[`${PACKAGE}.${typeName.replace(/^\.?talkmesh\.v1\./, '')}`] as { type?: unknown } | undefined
  )?.type;
  if (type === 'TYPE_ENUM') {
    const own = parent.enumType.find(({ name }) => name === typeName);
    return ((own ?? declared) as EnumType).value[1]?.name;
  }
  if (type !== 'TYPE_MESSAGE') return SCALARS[type] ?? 7;
  const message = declared as MessageType;
  return Object.fromEntries(message.field.map((field) => [field.name, fieldValue(definition, message, field)]));
}
