/** Values that JSON Schemas of contracts describe: each alternative once with all fields and once with those that must be there. */
import type { Schema } from './schema-rules.js';

/** @throws Error for a part of JSON Schema that the contracts do not use */
export function samplesOf(schema: Schema): unknown[] {
  const branches = (schema['anyOf'] ?? schema['oneOf']) as Schema[] | undefined;
  if (branches !== undefined) return branches.flatMap(samplesOf);
  if (schema['type'] !== 'object') return [plainValue(schema)];
  const fields = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>);
  const required = (schema['required'] ?? []) as string[];
  const filled = (wanted: typeof fields): unknown =>
    Object.fromEntries(wanted.map(([name, field]) => [name, samplesOf(field)[0]]));
  const isRequired = ([name]: (typeof fields)[number]): boolean => required.includes(name);
  return fields.every(isRequired) ? [filled(fields)] : [filled(fields), filled(fields.filter(isRequired))];
}

function plainValue(schema: Schema): unknown {
  if ('const' in schema) return schema['const'];
  if (Array.isArray(schema['enum'])) return schema['enum'].at(-1);
  const type = schema['type'];
  if (type === 'string') return 'text'.padEnd(Number(schema['minLength'] ?? 0), '-');
  if (type === 'integer' || type === 'number') return Math.max(7, Number(schema['minimum'] ?? 0));
  if (type === 'boolean') return true;
  if (type === 'array') return [];
  throw new Error(`no value for ${JSON.stringify(schema)}`);
}
