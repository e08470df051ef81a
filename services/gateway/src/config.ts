import { readFileSync, statSync } from 'node:fs';
import { MAX_AVATAR_TTL_MS, MeshError } from '@talkmesh/contracts';
import { defineConfig, envName } from '@talkmesh/service-kit';
import { z } from 'zod';

const ms = (defaultMs: number, minMs: number, maxMs: number) =>
  z.coerce.number().int().min(minMs).max(maxMs).default(defaultMs);
const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
const file = z.string().default('');

const MIN_API_KEY_CHARACTERS = 16;
const MIN_TOKEN_SECRET_BYTES = 32;
/** Longest life of a session token, milliseconds. */
export const MAX_TOKEN_TTL_MS = 600_000;

const parse = defineConfig({
  httpHost: z.string().min(1).default('127.0.0.1'),
  httpPort: z.coerce.number().int().min(0).max(65_535).default(8080),
  /** Model folder: only its manifest and its pictures are read here. */
  model: z.string().min(1),
  apiKeys: list,
  apiKeysFile: file,
  tokenSecret: z.string().default(''),
  tokenSecretFile: file,
  tokenTtlMs: ms(MAX_TOKEN_TTL_MS, 1000, MAX_TOKEN_TTL_MS),
  /** Origins that may call from a browser, `*` for every one; the gateway's own page needs no entry. */
  corsOrigins: list.refine((origins) => origins.every((o) => o === '*' || /^https?:\/\/[^/\s]+$/.test(o)), {
    message: 'are origins such as https://shop.example.com, separated by commas',
  }),
  /** Whether X-Forwarded-For of a proxy in front is believed. */
  trustProxy: z.stringbool().default(false),
  maxSessions: z.coerce.number().int().min(1).max(100_000).default(100),
  maxSessionMs: ms(2 * 3_600_000, 1000, 24 * 3_600_000),
  /** Requests a second each key, session or address may send on average, and at once. */
  rateLimitPerSecond: z.coerce.number().min(0.1).max(100_000).default(50),
  rateLimitBurst: z.coerce.number().int().min(1).max(1_000_000).default(200),
  /** Opening one stage, all stages, closing one stage, one SDP or text exchange. */
  openDeadlineMs: ms(10_000, 10, 120_000),
  createDeadlineMs: ms(30_000, 10, 300_000),
  /** How long a new call, or a picture, waits for a worker that is not there yet, such as one that starts again. */
  placementWaitMs: ms(10_000, 0, 120_000),
  closeDeadlineMs: ms(5_000, 10, 120_000),
  callDeadlineMs: ms(10_000, 10, 120_000),
  sweepMs: ms(5_000, 20, 60_000),
  /** How long a worker may be missing from the registry, as while NATS is started anew, before its sessions move. */
  workerLostMs: ms(4_000, 20, 120_000),
  /** How long a worker may be without NATS before its sessions move. */
  workerCutOffMs: ms(2_000, 20, 120_000),
  /** How often the registry is read for workers to watch. */
  watchMs: ms(1_000, 20, 60_000),
  /** A session without a worker for one of its stages ends after this time. */
  handoverDeadlineMs: ms(15_000, 20, 600_000),
  /** Stages that are moved at the same time. */
  handoverParallel: z.coerce.number().int().min(1).max(1000).default(16),
  /** Own pictures: size of a file and of what is in it, how long one may take, how long and how many are kept. */
  maxPictureBytes: z.coerce.number().int().min(1024).max(64_000_000).default(10_000_000),
  maxPicturePixels: z.coerce.number().int().min(4096).max(100_000_000).default(24_000_000),
  pictureDeadlineMs: ms(20_000, 100, 25_000),
  avatarTtlHours: z.coerce
    .number()
    .min(0.001)
    .max(MAX_AVATAR_TTL_MS / 3_600_000)
    .default(24),
  maxAvatars: z.coerce.number().int().min(0).max(10_000).default(200),
  eventHeartbeatMs: ms(15_000, 20, 120_000),
});

type Parsed = ReturnType<typeof parse>;
export type Config = Omit<Parsed, 'apiKeysFile' | 'tokenSecretFile'>;

/** @throws MeshError CONFIG_INVALID listing every problem, no secret in it. */
export function parseConfig(env: NodeJS.ProcessEnv): Config {
  const { apiKeysFile, tokenSecretFile, ...parsed } = parse(env);
  const problems: string[] = [];
  const keysInFile = secretOf('apiKeysFile', apiKeysFile, problems);
  const secretInFile = secretOf('tokenSecretFile', tokenSecretFile, problems);
  if (keysInFile !== undefined && parsed.apiKeys.length > 0) problems.push(twice('apiKeys', 'apiKeysFile'));
  if (secretInFile !== undefined && parsed.tokenSecret !== '') problems.push(twice('tokenSecret', 'tokenSecretFile'));
  const config = {
    ...parsed,
    apiKeys: keysInFile === undefined ? parsed.apiKeys : keysInFile.split(/[\s,]+/).filter((key) => key !== ''),
    tokenSecret: secretInFile ?? parsed.tokenSecret,
  };
  if (problems.length === 0) problems.push(...secretProblems(config));
  if (problems.length > 0)
    throw new MeshError('CONFIG_INVALID', `the configuration is not valid:\n  ${problems.join('\n  ')}`);
  return config;
}

function secretProblems(config: Pick<Config, 'apiKeys' | 'tokenSecret'>): string[] {
  const problems: string[] = [];
  if (config.apiKeys.length === 0)
    problems.push(
      `${envName('apiKeys')} or ${envName('apiKeysFile')} must name at least one key, or nobody can create a session`,
    );
  const short = config.apiKeys.filter((key) => key.length < MIN_API_KEY_CHARACTERS).length;
  if (short > 0)
    problems.push(
      `${envName('apiKeys')}: ${short} of the keys have fewer than ${MIN_API_KEY_CHARACTERS} characters; make some: openssl rand -hex 24`,
    );
  if (Buffer.byteLength(config.tokenSecret) < MIN_TOKEN_SECRET_BYTES)
    problems.push(
      `${envName('tokenSecret')} or ${envName('tokenSecretFile')} must hold at least ${MIN_TOKEN_SECRET_BYTES} bytes; make one: openssl rand -hex 32`,
    );
  return problems;
}

const twice = (a: string, b: string): string => `${envName(a)} and ${envName(b)} are both set: keep one`;

function secretOf(key: string, path: string, problems: string[]): string | undefined {
  if (path === '') return undefined;
  try {
    if ((statSync(path).mode & 0o007) !== 0)
      problems.push(`${envName(key)}: everybody on this machine may read ${path}; chmod 640 it`);
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    problems.push(`${envName(key)}: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`);
    return undefined;
  }
}
