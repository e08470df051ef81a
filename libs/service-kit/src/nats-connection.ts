import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { AuthorizationError, connect, type NatsConnection } from '@nats-io/transport-node';
import { MeshError } from '@talkmesh/contracts';
import type { BaseConfig } from './config.js';
import type { Logger } from './logging.js';

const CONNECT_BUDGET_MS = 10_000;
const RETRY_MS = 500;

type NatsSettings = Pick<BaseConfig, 'natsUrl' | 'natsUser' | 'natsPasswordFile' | 'instanceId'>;

/**
 * Connects, trying again for 10 seconds; afterwards the client reconnects by itself, for ever.
 * @throws MeshError NATS_UNAVAILABLE that says what to do; CANCELLED when `signal` aborts; CONFIG_INVALID for the password file.
 */
export async function connectNats(config: NatsSettings, log: Logger, signal: AbortSignal): Promise<NatsConnection> {
  const password = readPassword(config.natsPasswordFile);
  const until = Date.now() + CONNECT_BUDGET_MS;
  for (let attempt = 1; ; attempt++) {
    if (signal.aborted) throw MeshError.from(signal.reason);
    try {
      return await connect({
        servers: config.natsUrl.split(','),
        name: config.instanceId,
        ...(config.natsUser !== '' && { user: config.natsUser, pass: password }),
        timeout: 2000,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        reconnectJitter: 250,
        pingInterval: 10_000,
        ignoreAuthErrorAbort: true,
      });
    } catch (cause) {
      if (cause instanceof AuthorizationError) throw refused(config, cause);
      if (Date.now() >= until) throw unavailable(config.natsUrl, cause);
      if (attempt === 1)
        log.warn({ natsUrl: withoutCredentials(config.natsUrl) }, 'NATS does not answer yet, trying again');
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

function readPassword(file: string): string {
  if (file === '') return '';
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new MeshError('CONFIG_INVALID', `TALKMESH_NATS_PASSWORD_FILE: ${file} cannot be read`, { cause });
  }
}
