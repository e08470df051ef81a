import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';

/** Prefix of every environment variable the mesh reads. */
export const ENV_PREFIX = 'TALKMESH_';

const port = z.coerce.number().int().min(0).max(65_535);
const ms = (defaultMs: number, maxMs: number) => z.coerce.number().int().min(1).max(maxMs).default(defaultMs);

/** Settings every service has. A service's own shape may override one, e.g. `capacity` with another default. */
export const baseConfigShape = {
  /** One or more nats:// URLs, separated by commas. */
  natsUrl: z
    .string()
    .regex(/^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/, 'is nats://host:port, several separated by commas')
    .default('nats://127.0.0.1:4222'),
  /** User of the NATS permissions made from the pipeline table; empty: none. */
  natsUser: z.string().default(''),
  /** File that holds the NATS password; empty: none. */
  natsPasswordFile: z.string().default(''),
  grpcHost: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  grpcPort: port.default(0),
  adminHost: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  adminPort: port.default(0),
  /** Name in the registry; empty: `<service>-<random>`. */
  instanceId: z
    .string()
    .regex(/^[0-9a-z-]{0,63}$/, 'has at most 63 characters of 0-9, a-z and -')
    .default(''),
  /** Host the other services dial; empty: grpcHost, or this machine's name when that is a wildcard. */
  advertiseHost: z.string().default(''),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  logPretty: z.stringbool().default(false),
  /** How long sessions may go on after SIGTERM, milliseconds. */
  drainDeadlineMs: z.coerce.number().int().min(0).max(3_600_000).default(20_000),
  /** Sessions this worker admits at once. */
  capacity: z.coerce.number().int().min(1).max(10_000).default(4),
  heartbeatMs: ms(2000, 60_000),
  /** A worker that was silent this long leaves the registry, milliseconds. */
  registryTtlMs: ms(10_000, 600_000),
  /** Memory NATS may use to retain what calls need to go on elsewhere, all sessions together, MiB. The first service to connect sets it. */
  retentionMb: z.coerce.number().int().min(16).max(65_536).default(256),
} satisfies z.ZodRawShape;

export type BaseConfig = z.output<z.ZodObject<typeof baseConfigShape>>;
/** The values of a shape together with those of baseConfigShape. */
export type ConfigOf<S extends z.ZodRawShape> = z.output<z.ZodObject<Omit<typeof baseConfigShape, keyof S> & S>>;

/** A rule over several settings: returns what is wrong, one line each. */
export type ConfigRule<C> = (config: C) => readonly string[];

/** `grpcPort` -> `TALKMESH_GRPC_PORT`. */
export function envName(key: string): string {
  return ENV_PREFIX + key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

/**
 * Makes the parser of a service's environment. Values are strings, so numbers are `z.coerce.number()` and switches
 * `z.stringbool()`; an empty variable counts as not set.
 * @param rule checks settings against each other, after each alone is right.
 * @returns a function that throws MeshError CONFIG_INVALID listing every problem at once.
 */
export function defineConfig<S extends z.ZodRawShape>(
  shape: S,
  rule: ConfigRule<ConfigOf<S>> = () => [],
): (env: NodeJS.ProcessEnv) => ConfigOf<S> {
  const merged = { ...baseConfigShape, ...shape };
  const schema = z.object(merged);
  return (env) => {
    const values: Record<string, string> = {};
    for (const key of Object.keys(merged)) {
      const value = env[envName(key)];
      if (value !== undefined && value !== '') values[key] = value;
    }
    const parsed = schema.safeParse(values);
    const problems = parsed.success
      ? [...baseRule(parsed.data as BaseConfig), ...rule(parsed.data as unknown as ConfigOf<S>)]
      : parsed.error.issues.map((issue) => describeIssue(issue, values));
    if (!parsed.success || problems.length > 0)
      throw new MeshError(
        'CONFIG_INVALID',
        `the configuration is not valid:\n${problems.map((p) => `  ${p}`).join('\n')}`,
      );
    return parsed.data as unknown as ConfigOf<S>;
  };
}

function baseRule(config: BaseConfig): string[] {
  if (config.registryTtlMs >= config.heartbeatMs * 2) return [];
  return [
    `${envName('registryTtlMs')} must be at least twice ${envName('heartbeatMs')}, or workers leave the registry`,
  ];
}

function describeIssue(issue: z.core.$ZodIssue, values: Record<string, string>): string {
  const key = String(issue.path[0] ?? '');
  const value = values[key];
  if (value === undefined) return `${envName(key)} is not set and has no default`;
  const secret = /secret|token|password|key|credential/i.test(key);
  return `${envName(key)}=${secret ? '(hidden)' : JSON.stringify(value)}: ${issue.message}`;
}
