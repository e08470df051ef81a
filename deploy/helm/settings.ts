/** The settings (TALKMESH_*) of every service, read from the shapes with which the services parse them. */
import { readFileSync } from 'node:fs';
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { baseConfigShape, type ConfigParser, envName } from '@talkmesh/service-kit';
import { z } from 'zod';
import { parseConfig as ingest } from '../../services/audio-ingest/src/config.js';
import { parseConfig as bridge } from '../../services/audio-llm-bridge/src/config.js';
import { parseConfig as gateway } from '../../services/gateway/src/config.js';
import { parseConfig as score } from '../../services/score-model/src/config.js';
import { parseConfig as decode } from '../../services/vae-decode/src/config.js';
import { parseConfig as egress } from '../../services/webrtc-egress/src/config.js';

export type Json = { readonly [key: string]: unknown };

export interface Setting {
  /** As in the code: `drainDeadlineMs`. */
  readonly key: string;
  /** `TALKMESH_DRAIN_DEADLINE_MS` */
  readonly env: string;
  /** JSON Schema of its value. */
  readonly schema: Json;
  /** The comment in the code. */
  readonly description: string;
  /** Whether every service has it. */
  readonly isCommon: boolean;
}

const PARSERS: Readonly<Record<ServiceName, ConfigParser<unknown>>> = {
  gateway,
  'audio-ingest': ingest,
  'audio-llm-bridge': bridge,
  'score-model': score,
  'vae-decode': decode,
  'webrtc-egress': egress,
};

/** The parser with which a service reads its environment. */
export const parseConfigOf = (service: ServiceName): ConfigParser<unknown> => PARSERS[service];

const shapeOf = (service: ServiceName): z.ZodRawShape => PARSERS[service].shape;

/** Files whose comments describe settings; a service's own file is added. */
const COMMENTED = [
  'libs/service-kit/src/config.ts',
  'libs/webrtc/src/config.ts',
  'libs/webrtc/src/livekit/config.ts',
  'libs/chunk-worker/src/config-fields.ts',
  'libs/inference/src/config-fields.ts',
];

export function settingsOf(service: ServiceName): Setting[] {
  const comments = new Map(
    [...COMMENTED, `services/${service}/src/config.ts`].flatMap((path) => [...commentsIn(path)]),
  );
  return Object.entries(shapeOf(service)).map(([key, type]) => ({
    key,
    env: envName(key),
    schema: schemaOf(type as z.ZodType),
    description: comments.get(key) ?? '',
    isCommon:
      Object.hasOwn(baseConfigShape, key) && SERVICES.every((name) => shapeOf(name)[key] === gateway.shape[key]),
  }));
}

/** The default of a setting as a service parses an empty environment; undefined when there is none. */
export function defaultOf(service: ServiceName, key: string): unknown {
  const parsed = (shapeOf(service)[key] as z.ZodType).safeParse(undefined);
  return parsed.success ? parsed.data : undefined;
}

/**
 * Environment values are texts that the code coerces, so numbers and booleans are described by what they become. A setting that
 * becomes a list is a list here.
 */
function schemaOf(type: z.ZodType): Json {
  if (Array.isArray(type.safeParse(undefined).data)) return { type: 'array', items: { type: 'string' } };
  const output = toJson(type, 'output');
  const { default: _, ...schema } = output['type'] === undefined ? toJson(type, 'input') : output;
  return schema;
}

function toJson(type: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...schema } = z.toJSONSchema(type, { io, target: 'draft-7', unrepresentable: 'any' }) as Json;
  return schema;
}

/** The JSDoc comments of all properties in a file, by property name. */
function commentsIn(path: string): Map<string, string> {
  const commented = readFileSync(path, 'utf8').matchAll(/\/\*\*((?:(?!\*\/).)*)\*\/\s*(\w+)\s*[:,]/gs);
  return new Map([...commented].map(([, comment = '', name = '']) => [name, textOf(comment)]));
}

/** Without the asterisks that begin its lines, and on one line. */
const textOf = (comment: string): string =>
  comment
    .replace(/^\s*\*/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
