import { MeshError } from '@talkmesh/contracts';
import { z } from 'zod';

/** Prefix of every environment variable of the mesh. */
export const ENV_PREFIX = 'TALKMESH_';

const port = z.coerce.number().int().min(0).max(65_535);
const ms = (defaultMs: number, maxMs: number) => z.coerce.number().int().min(1).max(maxMs).default(defaultMs);

/** Settings of every service. A service's own shape may override one, e.g. `capacity` with another default. */
export const baseConfigShape = {
  /** One or more nats:// URLs, separated by commas. */
  natsUrl: z
    .string()
    .regex(
      /^(nats|tls):\/\/[^\s,]+(,(nats|tls):\/\/[^\s,]+)*$/,
      'must be nats://host:port; separate several with commas',
    )
    .default('nats://127.0.0.1:4222'),
  /** NATS user, whose permissions are generated from the pipeline table; empty: no user. */
  natsUser: z.string().default(''),
  /** File that contains the NATS password; empty: no password. */
  natsPasswordFile: z.string().default(''),
  /** File with the certificates (PEM) that may sign the NATS server's; empty: the system's, and no TLS unless the URL is tls://. */
  natsCaFile: z.string().default(''),
  /** Client certificate and its key (PEM) for NATS; empty: none. */
  natsCertFile: z.string().default(''),
  natsKeyFile: z.string().default(''),
  /** Another address than loopback needs a shared secret or certificates, except for the gateway, whose callers have keys and tokens. */
  grpcHost: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  grpcPort: port.default(0),
  /** File with the secret that callers inside the mesh send; each line is accepted, the first is sent. Empty: none. */
  grpcSecretFile: z.string().default(''),
  /** Certificate and key (PEM) of this service and the authority of the mesh, for mutual TLS; empty: plain text. */
  grpcCaFile: z.string().default(''),
  grpcCertFile: z.string().default(''),
  grpcKeyFile: z.string().default(''),
  adminHost: z.string().min(1).default('127.0.0.1'),
  /** 0: any free port. */
  adminPort: port.default(0),
  /** Name in the registry; empty: `<service>-<random>`. */
  instanceId: z
    .string()
    .regex(/^[0-9a-z-]{0,63}$/, 'must have at most 63 characters of 0-9, a-z and -')
    .default(''),
  /** Host under which the other services reach this one; empty: `grpcHost`, or the host name of the machine when `grpcHost` is a wildcard. */
  advertiseHost: z.string().default(''),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  logPretty: z.stringbool().default(false),
  /** How long sessions may continue after SIGTERM, milliseconds. */
  drainDeadlineMs: z.coerce.number().int().min(0).max(3_600_000).default(20_000),
  /** Most sessions that this worker admits at the same time. */
  capacity: z.coerce.number().int().min(1).max(10_000).default(4),
  heartbeatMs: ms(2000, 60_000),
  /** A worker without a heartbeat for this long disappears from the registry, milliseconds. */
  registryTtlMs: ms(10_000, 600_000),
  /** Memory in which NATS retains what takeovers need, for all sessions together, MiB. The first service that connects sets it. */
  retentionMb: z.coerce.number().int().min(16).max(65_536).default(256),
  /** NATS servers that hold a copy of each stream and bucket. With 3, a cluster of 3 keeps them when one server is lost. */
  natsReplicas: z.coerce.number().int().min(1).max(5).default(1),
} satisfies z.ZodRawShape;

export type BaseConfig = z.output<z.ZodObject<typeof baseConfigShape>>;
/** The values of a shape together with those of baseConfigShape. */
export type ConfigOf<S extends z.ZodRawShape> = z.output<z.ZodObject<Omit<typeof baseConfigShape, keyof S> & S>>;

/** A rule about several settings. @returns the problems, one line each; empty when there are none */
export type ConfigRule<C> = (config: C) => readonly string[];

/** `grpcPort` -> `TALKMESH_GRPC_PORT`. */
export function envName(key: string): string {
  return ENV_PREFIX + key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

/** Parses the environment of a service. `shape` describes each setting, for generated documents and schemas. */
export type ConfigParser<C> = ((env: NodeJS.ProcessEnv) => C) & { readonly shape: z.ZodRawShape };

/**
 * Creates the parser of a service's environment. Environment values are strings, so numbers are `z.coerce.number()` and booleans
 * `z.stringbool()`. An empty variable counts as not set.
 * @param rule checks settings against each other, when each setting on its own is valid
 * @returns the parser, which throws MeshError CONFIG_INVALID with all problems at once
 */
export function defineConfig<S extends z.ZodRawShape>(
  shape: S,
  rule: ConfigRule<ConfigOf<S>> = () => [],
): ConfigParser<ConfigOf<S>> {
  const merged = { ...baseConfigShape, ...shape };
  const schema = z.object(merged);
  const parse = (env: NodeJS.ProcessEnv): ConfigOf<S> => {
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
  return Object.assign(parse, { shape: merged });
}

function baseRule(config: BaseConfig): string[] {
  const problems: string[] = [];
  if (config.registryTtlMs < config.heartbeatMs * 2)
    problems.push(
      `${envName('registryTtlMs')} must be at least twice ${envName('heartbeatMs')}, otherwise workers disappear from the registry between heartbeats`,
    );
  if ((config.natsCertFile === '') !== (config.natsKeyFile === ''))
    problems.push(`${envName('natsCertFile')} and ${envName('natsKeyFile')} belong together: set both or neither`);
  const tls = ['grpcCaFile', 'grpcCertFile', 'grpcKeyFile'] as const;
  const missing = tls.filter((setting) => config[setting] === '');
  if (missing.length > 0 && missing.length < tls.length)
    problems.push(
      `${missing.map(envName).join(' and ')} must be set too: mutual TLS needs all of ${tls.map(envName).join(', ')}`,
    );
  return problems;
}

function describeIssue(issue: z.core.$ZodIssue, values: Record<string, string>): string {
  const key = String(issue.path[0] ?? '');
  const value = values[key];
  if (value === undefined) return `${envName(key)} is not set and has no default`;
  const secret = /secret|token|password|key|credential/i.test(key);
  return `${envName(key)}=${secret ? '(hidden)' : JSON.stringify(value)}: ${issue.message}`;
}
