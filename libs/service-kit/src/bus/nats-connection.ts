import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  type NatsConnection,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { inboxPrefixOf, MeshError, type ServiceName } from '@talkmesh/contracts';
import { type BaseConfig, envName } from '../config.js';
import type { Logger } from '../logging.js';

const CONNECT_BUDGET_MS = 10_000;
const RETRY_MS = 500;
const FILES = ['natsPasswordFile', 'natsCaFile', 'natsCertFile', 'natsKeyFile'] as const;
type FileSetting = (typeof FILES)[number];

type NatsSettings = Pick<
  BaseConfig,
  'natsUrl' | 'natsUser' | 'natsPasswordFile' | 'natsCaFile' | 'natsCertFile' | 'natsKeyFile' | 'instanceId'
>;

/**
 * Connects to NATS and retries for 10 seconds. After a lost connection the client reconnects on its own, without limit.
 * Password and certificates are read from their files at every attempt to connect, so a changed file counts from the next connection on.
 * @throws MeshError NATS_UNAVAILABLE; CANCELLED when `signal` is aborted; CONFIG_INVALID when a file cannot be read
 */
export async function connectNats(
  service: ServiceName,
  config: NatsSettings,
  log: Logger,
  signal: AbortSignal,
): Promise<NatsConnection> {
  for (const setting of FILES) if (config[setting] !== '') readSettingFile(setting, config[setting]);
  const until = performance.now() + CONNECT_BUDGET_MS;
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw MeshError.from(signal.reason);
    try {
      return await connect({
        servers: config.natsUrl.split(','),
        name: config.instanceId,
        inboxPrefix: inboxPrefixOf(service),
        ...credentialsOf(config, log),
        timeout: 2000,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        pingInterval: 10_000,
        ignoreAuthErrorAbort: true,
      });
    } catch (cause) {
      if (cause instanceof AuthorizationError) throw refused(config, cause);
      if (performance.now() >= until) throw unavailable(config.natsUrl, cause);
      if (attempt === 1)
        log.warn({ natsUrl: withoutCredentials(config.natsUrl) }, 'NATS is not reachable yet, retrying');
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

function refused(config: NatsSettings, cause: unknown): MeshError {
  const who = config.natsUser === '' ? 'a connection without user' : `user "${config.natsUser}"`;
  return new MeshError(
    'NATS_UNAVAILABLE',
    `NATS at ${withoutCredentials(config.natsUrl)} refuses ${who}: check TALKMESH_NATS_USER and TALKMESH_NATS_PASSWORD_FILE`,
    { cause },
  );
}

function unavailable(natsUrl: string, cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeshError(
    'NATS_UNAVAILABLE',
    `no NATS server at ${withoutCredentials(natsUrl)} within ${CONNECT_BUDGET_MS / 1000} s (${why}): start one with JetStream (nats-server -js) or set TALKMESH_NATS_URL`,
    { cause },
  );
}

const withoutCredentials = (url: string): string => url.replace(/\/\/[^@,/]*@/g, '//');

/** With a CA file or a tls:// URL the client refuses a server that does not offer TLS. */
function credentialsOf(config: NatsSettings, log: Logger): Partial<ConnectionOptions> {
  const { natsUrl, natsUser, natsPasswordFile, natsCaFile: caFile, natsCertFile, natsKeyFile } = config;
  let password = '';
  const currentPassword = (): string => {
    try {
      if (natsPasswordFile !== '') password = readSettingFile('natsPasswordFile', natsPasswordFile).trim();
    } catch (err) {
      log.warn({ err }, 'reconnecting to NATS with the password that was read before');
    }
    return password;
  };
  const identity = natsCertFile === '' ? {} : { certFile: natsCertFile, keyFile: natsKeyFile };
  const isEncrypted = caFile !== '' || natsUrl.includes('tls://');
  return {
    ...(natsUser !== '' && { authenticator: usernamePasswordAuthenticator(natsUser, currentPassword) }),
    ...(isEncrypted && { tls: { ...(caFile !== '' && { caFile }), ...identity } }),
  };
}

function readSettingFile(setting: FileSetting, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MeshError(
      'CONFIG_INVALID',
      `${envName(setting)}: ${file} cannot be read: check the path and its permissions`,
      { cause },
    );
  }
}
