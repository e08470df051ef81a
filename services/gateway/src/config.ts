import { MAX_AVATAR_TTL_MS, MeshError } from '@talkmesh/contracts';
import { type ConfigParser, defineConfig, isNetwork } from '@talkmesh/service-kit';
import { iceConfigRule, iceConfigShape, livekitConfigShape } from '@talkmesh/webrtc';
import { z } from 'zod';
import { isProxyTrust } from './http/proxy-trust.js';
import { readSecrets, type SecretSettings, type Secrets } from './secrets.js';
import { readEndpoints } from './webhooks/endpoints.js';

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
const text = z.string().default('');

/** Longest lifetime of a session token, milliseconds. */
export const MAX_TOKEN_TTL_MS = 600_000;

const parse = defineConfig(
  {
    /** STUN and TURN servers that callers are told to use. */
    ...iceConfigShape,
    ...livekitConfigShape,
    /** API key and file with the API secret of the first LiveKit server: with them callers name a room and need no token for the avatar. */
    livekitApiKey: text,
    livekitApiSecretFile: text,
    httpHost: z.string().min(1).default('127.0.0.1'),
    httpPort: z.coerce.number().int().min(0).max(65_535).default(8080),
    /** Model folder; the gateway reads only its manifest and its pictures. */
    model: z.string().min(1),
    /** Keys or a file with them: `KEY`, `NAME:KEY` or `NAME/admin:KEY`. Files are read again when they change. */
    apiKeys: text,
    apiKeysFile: text,
    tokenSecret: text,
    tokenSecretFile: text,
    tokenTtlMs: ms(MAX_TOKEN_TTL_MS, 1000, MAX_TOKEN_TTL_MS),
    /** Origins that may call from a browser, `*` for all; the gateway's own page needs no entry. */
    corsOrigins: list.refine(
      (origins) => origins.every((origin) => origin === '*' || /^https?:\/\/[^/\s]+$/.test(origin)),
      {
        message: 'are origins such as https://shop.example.com, separated by commas',
      },
    ),
    /** Proxies in front whose X-Forwarded headers count: false, true (one), their number, or their networks (`private`, 10.1.0.0/16). */
    trustProxy: z
      .string()
      .default('false')
      .refine(isProxyTrust, 'is false, true, a number up to 10, or a list of networks such as 10.1.0.0/16'),
    /** Provider of sessions that name none. */
    defaultProvider: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,40}$/, 'is the name of a conversation provider')
      .default('parrot'),
    /** How long an idle connection is kept; longer than load balancers keep theirs (60 s), or they send requests into a closed connection. */
    keepAliveMs: ms(75_000, 1000, 3_600_000),
    maxSessions: z.coerce.number().int().min(1).max(100_000).default(100),
    maxSessionMs: ms(2 * 3_600_000, 1000, 24 * 3_600_000),
    /** Token bucket of each key, session or address: requests per second and burst. */
    rateLimitPerSecond: z.coerce.number().min(0.1).max(100_000).default(50),
    rateLimitBurst: z.coerce.number().int().min(1).max(1_000_000).default(200),
    /** Deadlines: open one stage, open all stages, close one stage, one SDP or text exchange. */
    openDeadlineMs: ms(10_000, 10, 120_000),
    createDeadlineMs: ms(30_000, 10, 300_000),
    /** How long a new session or an uploaded picture waits for a ready worker, such as one that restarts. */
    placementWaitMs: ms(10_000, 0, 120_000),
    closeDeadlineMs: ms(5_000, 10, 120_000),
    callDeadlineMs: ms(10_000, 10, 120_000),
    sweepMs: ms(5_000, 20, 60_000),
    /** How long a worker may be missing from the registry before its sessions move; longer than a restart of NATS. */
    workerLostMs: ms(4_000, 20, 120_000),
    /** How long a worker may be without NATS before its sessions move. */
    workerCutOffMs: ms(2_000, 20, 120_000),
    /** How often the registry is read for workers to watch. */
    watchMs: ms(1_000, 20, 60_000),
    /** A session without a worker for one of its stages ends after this time. */
    handoverDeadlineMs: ms(15_000, 20, 600_000),
    /** Number of stages that are moved at the same time. */
    handoverParallel: z.coerce.number().int().min(1).max(1000).default(16),
    /** Own pictures: largest file, most pixels, deadline of one upload, lifetime, and number that is kept. */
    maxPictureBytes: z.coerce.number().int().min(1024).max(64_000_000).default(10_000_000),
    maxPicturePixels: z.coerce.number().int().min(4096).max(100_000_000).default(24_000_000),
    pictureDeadlineMs: ms(20_000, 100, 60_000),
    avatarTtlHours: z.coerce
      .number()
      .min(0.001)
      .max(MAX_AVATAR_TTL_MS / 3_600_000)
      .default(24),
    maxAvatars: z.coerce.number().int().min(0).max(10_000).default(200),
    /** JSON file of the programs that sessions are reported to, read again when it changes; docs/webhooks.md. */
    webhooksFile: text,
    /** Networks where they may be besides the Internet, also without TLS: `private`, `loopback`, 10.1.0.0/16. */
    webhookNetworks: list.refine(
      (networks) => networks.every(isNetwork),
      'are networks such as private or 10.1.0.0/16',
    ),
    eventHeartbeatMs: ms(1000, 20, 1000),
  },
  (config) => [
    ...iceConfigRule(config),
    ...((config.livekitApiKey === '') !== (config.livekitApiSecretFile === '')
      ? ['TALKMESH_LIVEKIT_API_KEY and TALKMESH_LIVEKIT_API_SECRET_FILE belong together: set both or neither']
      : []),
  ],
);

type Parsed = ReturnType<typeof parse>;
export type Config = Omit<Parsed, keyof SecretSettings> & {
  readonly secrets: Secrets;
  readonly secretSettings: SecretSettings;
};

/** @throws MeshError CONFIG_INVALID listing every problem; never contains a secret. */
export const parseConfig: ConfigParser<Config> = Object.assign(parseWithSecrets, { shape: parse.shape });

function parseWithSecrets(env: NodeJS.ProcessEnv): Config {
  const { apiKeys, apiKeysFile, tokenSecret, tokenSecretFile, ...parsed } = parse(env);
  const secretSettings = { apiKeys, apiKeysFile, tokenSecret, tokenSecretFile };
  const { secrets, problems: wrongSecrets } = readSecrets(secretSettings);
  const problems = [...wrongSecrets, ...readEndpoints(parsed.webhooksFile).problems];
  if (problems.length > 0)
    throw new MeshError('CONFIG_INVALID', `the configuration is not valid:\n  ${problems.join('\n  ')}`);
  return { ...parsed, secrets, secretSettings };
}
