/** Whether a reader of one version accepts all that a writer of another version may send, by their JSON Schemas. */

export type Schema = Readonly<Record<string, unknown>>;

export interface Rules {
  /** New values of an enumeration are no fault: the reader has promised to expect values that it does not know. */
  readonly openEnumerations?: boolean;
  /** Fields that the reader's schema does not list are no fault, although it says so. */
  readonly ignoresUnknownFields?: boolean;
  /** A writer's alternative that no branch of the reader has is no fault when this field names it: the reader leaves such messages out. */
  readonly newKindsBy?: string;
}

type Document = Schema;
interface Side {
  readonly schema: Schema;
  /** Where `$ref` points to. */
  readonly document: Document;
}

/**
 * @param reader the schema of what is accepted
 * @param writer the schema of what is sent
 * @returns what the writer may send and the reader would refuse or misread, one line each; empty when there is nothing
 */
export function faultsOf(reader: Schema, writer: Schema, rules: Rules = {}, documents = [reader, writer]): string[] {
  const [ofReader, ofWriter] = documents as [Document, Document];
  return compare({ schema: reader, document: ofReader }, { schema: writer, document: ofWriter }, rules, '');
}

function resolved({ schema, document }: Side): Side {
  const reference = schema['$ref'];
  if (typeof reference !== 'string') return { schema, document };
  let target: unknown = document;
  for (const part of reference
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== ''))
    target = (target as Record<string, unknown>)[part.replaceAll('~1', '/').replaceAll('~0', '~')];
  if (target === undefined) throw new Error(`${reference} points to nothing`);
  return resolved({ schema: target as Schema, document });
}

const branchesOf = ({ schema, document }: Side): Side[] | undefined => {
  const branches = schema['anyOf'] ?? schema['oneOf'];
  return Array.isArray(branches) ? branches.map((branch) => resolved({ schema: branch, document })) : undefined;
};

function compare(readerSide: Side, writerSide: Side, rules: Rules, path: string): string[] {
  const [reader, writer] = [resolved(readerSide), resolved(writerSide)];
  const alternatives = branchesOf(writer);
  if (alternatives !== undefined) return alternatives.flatMap((branch) => compareBranch(reader, branch, rules, path));
  return compareBranch(reader, writer, rules, path);
}

const kindOf = ({ schema }: Side, field: string): unknown =>
  (schema['properties'] as Record<string, Schema> | undefined)?.[field]?.['const'];

function compareBranch(reader: Side, writer: Side, rules: Rules, path: string): string[] {
  const choices = branchesOf(reader);
  if (choices === undefined) return compareOne(reader, writer, rules, path);
  const field = rules.newKindsBy;
  const kind = field === undefined ? undefined : kindOf(writer, field);
  if (field !== undefined && kind !== undefined) {
    const same = choices.find((choice) => kindOf(choice, field) === kind);
    return same === undefined ? [] : compareOne(same, writer, rules, `${path}<${String(kind)}>`);
  }
  const faults = choices.map((choice) => compare(choice, writer, rules, path));
  return faults.some((found) => found.length === 0) ? [] : faults.reduce((a, b) => (b.length < a.length ? b : a));
}

const at = (path: string): string => (path === '' ? 'it' : path);

function compareOne(reader: Side, writer: Side, rules: Rules, path: string): string[] {
  const [read, written] = [reader.schema, writer.schema];
  if (Object.keys(read).every((key) => key === 'description' || key === 'default' || key === '$schema')) return [];
  const faults = [...typeFaults(read, written, path), ...valueFaults(read, written, rules, path)];
  if (faults.length > 0) return faults;
  return [
    ...boundFaults(read, written, path),
    ...itemFaults(reader, writer, rules, path),
    ...fieldFaults(reader, writer, rules, path),
  ];
}

const typesOf = (schema: Schema): string[] => [schema['type'] ?? []].flat() as string[];

function typeFaults(read: Schema, written: Schema, path: string): string[] {
  const accepted = typesOf(read);
  if (accepted.length === 0) return [];
  const isAccepted = (type: string): boolean =>
    accepted.includes(type) || (type === 'integer' && accepted.includes('number'));
  const types = typesOf(written);
  if (types.length > 0 && types.every(isAccepted)) return [];
  return [`${at(path)} is ${types.join(' or ') || 'anything'} and not ${accepted.join(' or ')}`];
}

const valuesOf = (schema: Schema): unknown[] | undefined =>
  'const' in schema ? [schema['const']] : (schema['enum'] as unknown[] | undefined);

function valueFaults(read: Schema, written: Schema, rules: Rules, path: string): string[] {
  const accepted = valuesOf(read);
  if (accepted === undefined) return [];
  const sent = valuesOf(written);
  if (sent === undefined) return [`${at(path)} may be any value and not only ${accepted.join(', ')}`];
  if (rules.openEnumerations === true && accepted.length > 1) return [];
  const unknown = sent.filter((value) => !accepted.includes(value));
  return unknown.length === 0 ? [] : [`${at(path)} may be ${unknown.join(', ')}, which is not known`];
}

const LOWER = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems'] as const;
const UPPER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems'] as const;

function boundFaults(read: Schema, written: Schema, path: string): string[] {
  const number = (schema: Schema, key: string, otherwise: number): number =>
    (schema[key] as number | undefined) ?? otherwise;
  const faults = [
    ...LOWER.filter(
      (key) => number(written, key, Number.NEGATIVE_INFINITY) < number(read, key, Number.NEGATIVE_INFINITY),
    ),
    ...UPPER.filter(
      (key) => number(written, key, Number.POSITIVE_INFINITY) > number(read, key, Number.POSITIVE_INFINITY),
    ),
    ...['pattern', 'format'].filter((key) => read[key] !== undefined && read[key] !== written[key]),
  ];
  return faults.map(
    (key) => `${at(path)} has the ${key} ${String(written[key] ?? 'none')} and not ${String(read[key])}`,
  );
}

function itemFaults(reader: Side, writer: Side, rules: Rules, path: string): string[] {
  const sides = (key: string): [Side, Side] | undefined => {
    const [read, written] = [reader.schema[key], writer.schema[key]] as (Schema | undefined)[];
    if (typeof read !== 'object' || typeof written !== 'object') return undefined;
    return [
      { schema: read, document: reader.document },
      { schema: written, document: writer.document },
    ];
  };
  const [items, values] = [sides('items'), sides('additionalProperties')];
  const [read, written] = [reader.schema['prefixItems'], writer.schema['prefixItems']] as (Schema[] | undefined)[];
  const tuple = (read ?? []).flatMap((schema, i) =>
    compare(
      { schema, document: reader.document },
      { schema: written?.[i] ?? {}, document: writer.document },
      rules,
      `${path}[${i}]`,
    ),
  );
  return [
    ...tuple,
    ...(items === undefined ? [] : compare(...items, rules, `${path}[]`)),
    ...(values === undefined ? [] : compare(...values, rules, `${path}.*`)),
  ];
}

function fieldFaults(reader: Side, writer: Side, rules: Rules, path: string): string[] {
  const fieldsOf = ({ schema }: Side): Record<string, Schema> => (schema['properties'] ?? {}) as Record<string, Schema>;
  const requiredOf = ({ schema }: Side): string[] => (schema['required'] ?? []) as string[];
  const [read, written] = [fieldsOf(reader), fieldsOf(writer)];
  const name = (field: string): string => (path === '' ? field : `${path}.${field}`);
  const missing = requiredOf(reader).filter((field) => !requiredOf(writer).includes(field));
  const refuses = reader.schema['additionalProperties'] === false && rules.ignoresUnknownFields !== true;
  const unknown = refuses ? Object.keys(written).filter((field) => !(field in read)) : [];
  return [
    ...missing.map((field) => `${name(field)} may be missing and is required`),
    ...unknown.map((field) => `${name(field)} is refused`),
    ...Object.entries(read).flatMap(([field, schema]) =>
      written[field] === undefined
        ? []
        : compare(
            { schema, document: reader.document },
            { schema: written[field], document: writer.document },
            rules,
            name(field),
          ),
    ),
  ];
}
