/** Whether protos of a newer version have all that those of an older one had, unchanged. */
import type { PackageDefinition } from '@grpc/proto-loader';

interface Field {
  readonly name: string;
  readonly number: number;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface EnumType {
  readonly name: string;
  readonly value: readonly { readonly name: string; readonly number: number }[];
}
interface MessageType {
  readonly name: string;
  readonly field: readonly Field[];
  readonly nestedType: readonly MessageType[];
  readonly enumType: readonly EnumType[];
}
interface Method {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestType: { readonly type: object };
  readonly responseType: { readonly type: object };
}

type Facts = Map<string, string>;

/** What must not change: methods by path, fields and values of enumerations by number. */
function factsOf(definition: PackageDefinition): Facts {
  const facts: Facts = new Map();
  for (const [name, entry] of Object.entries(definition)) {
    if (!('format' in entry)) for (const method of Object.values(entry)) addMethod(facts, method as unknown as Method);
    else if ('field' in entry.type) addMessage(facts, name, entry.type as unknown as MessageType);
    else addEnum(facts, name, entry.type as unknown as EnumType);
  }
  return facts;
}

function addMethod(facts: Facts, { path, requestStream, responseStream, requestType, responseType }: Method): void {
  const side = (isStream: boolean, { type }: { readonly type: object }): string =>
    `${isStream ? 'stream ' : ''}${(type as MessageType).name}`;
  facts.set(path, `${side(requestStream, requestType)} -> ${side(responseStream, responseType)}`);
}

function addMessage(facts: Facts, name: string, { field: fields, nestedType, enumType }: MessageType): void {
  facts.set(name, 'message');
  for (const { number, name: field, label, type, typeName } of fields)
    facts.set(`${name} field ${number}`, [label, type, typeName, field].filter((part) => part !== '').join(' '));
  for (const nested of nestedType) addMessage(facts, `${name}.${nested.name}`, nested);
  for (const nested of enumType) addEnum(facts, `${name}.${nested.name}`, nested);
}

function addEnum(facts: Facts, name: string, { value: values }: EnumType): void {
  facts.set(name, 'enum');
  for (const { name: label, number } of values) facts.set(`${name} value ${number}`, label);
}

/** @returns what was removed or changed, one line each */
export function brokenProtos(older: PackageDefinition, newer: PackageDefinition): string[] {
  const now = factsOf(newer);
  return [...factsOf(older)].flatMap(([path, fact]) => {
    const found = now.get(path);
    if (found === fact) return [];
    return [found === undefined ? `${path} (${fact}) was removed` : `${path} was "${fact}" and is "${found}"`];
  });
}
