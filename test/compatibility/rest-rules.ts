/** Whether a REST API, by its OpenAPI documents, still has all that it had for clients of an older version. */
import { faultsOf, type Schema } from './schema-rules.js';

type Json = Readonly<Record<string, unknown>>;
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
  readonly headers?: Json;
}
interface Operation {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
  readonly security?: readonly unknown[];
}
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** @returns what a client of the older version would miss, one line each */
export function brokenRest(older: OpenApi, newer: OpenApi): string[] {
  return Object.entries(older.paths).flatMap(([path, operations]) =>
    Object.entries(operations).flatMap(([method, was]) => {
      const name = `${method.toUpperCase()} ${path}`;
      const is = newer.paths[path]?.[method];
      if (is === undefined) return [`${name} was removed`];
      return operationFaults(was, is, [older, newer] as unknown as [Schema, Schema]).map(
        (fault) => `${name}: ${fault}`,
      );
    }),
  );
}

function operationFaults(was: Operation, is: Operation, documents: readonly [Schema, Schema]): string[] {
  const key = (parameter: { readonly name: string; readonly in: string }): string =>
    `${parameter.in} ${parameter.name}`;
  const [known, now] = [was.parameters.map(key), is.parameters.map(key)];
  const demanded = is.parameters.filter((parameter) => parameter.required && !known.includes(key(parameter)));
  return [
    ...known.filter((name) => !now.includes(name)).map((name) => `the parameter ${name} was removed`),
    ...demanded.map((parameter) => `the parameter ${key(parameter)} is required now`),
    ...(was.security?.length === 0 && is.security?.length !== 0 ? ['it needs a credential now'] : []),
    ...(was.requestBody === undefined && is.requestBody !== undefined ? ['it needs a body now'] : []),
    ...contentFaults('request', was.requestBody, is.requestBody, documents),
    ...successes(was).flatMap(([status, answer]) => answerFaults(status, answer, is.responses[status], documents)),
  ];
}

const successes = ({ responses }: Operation): [string, Content][] =>
  Object.entries(responses).filter(([status]) => status.startsWith('2'));

function answerFaults(
  status: string,
  was: Content,
  is: Content | undefined,
  documents: readonly [Schema, Schema],
): string[] {
  if (is === undefined) return [`it answers ${status} no more`];
  const lost = Object.keys(was.headers ?? {}).filter((name) => !(name in (is.headers ?? {})));
  return [...lost.map((name) => `the header ${name} was removed`), ...contentFaults('answer', was, is, documents)];
}

/** In a request the newer side reads, in an answer the older one. */
function contentFaults(
  kind: 'request' | 'answer',
  was: Content | undefined,
  is: Content | undefined,
  [older, newer]: readonly [Schema, Schema],
): string[] {
  return Object.entries(was?.content ?? {}).flatMap(([type, { schema }]) => {
    const now = is?.content?.[type]?.schema;
    if (now === undefined) return [`the ${kind} is no longer ${type}`];
    const faults =
      kind === 'request'
        ? faultsOf(now, schema, {}, [newer, older])
        : faultsOf(schema, now, { openEnumerations: true, ignoresUnknownFields: true }, [older, newer]);
    return faults.map((fault) => `${kind}: ${fault}`);
  });
}
