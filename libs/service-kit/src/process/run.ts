import { createRequire } from 'node:module';
import { MeshError } from '@talkmesh/contracts';
import type { BaseConfig } from '../config.js';
import { createLogger } from '../logging.js';
import { aborted } from '../waiting.js';
import { completeConfig, type ServiceDefinitionOf } from './context.js';
import { LAST_RESORT_MS, ServiceProcess } from './service-process.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

const EXIT_FAILURE = 1;
/** EX_CONFIG of sysexits.h: the supervisor should not restart the process. */
const EXIT_CONFIG = 78;
const FORCED_CLEANUP_MS = 3000;

/**
 * Runs a service until it receives a signal: config, NATS, `start`, gRPC, registry, `ready` line, then drain and exit. Called by `main.ts`.
 * Exit code 0 after a drain, 1 when it failed to start or to clean up, 78 when configuration or model is not valid. Never rejects.
 */
export async function runService<C extends BaseConfig>(
  definition: ServiceDefinitionOf<C>,
  // biome-ignore lint/style/noProcessEnv: the default of the one entry point
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  let config: C;
  try {
    config = completeConfig(definition.name, definition.parseConfig(env));
  } catch (thrown) {
    process.exitCode = reportFailure(definition.name, thrown);
    return;
  }
  const { instanceId, logLevel, logPretty } = config;
  const log = createLogger({ service: definition.name, instanceId, level: logLevel, pretty: logPretty });
  const service = new ServiceProcess(definition, config, log, version);
  const { lifecycle } = service;
  service.listenForEnd(env['TALKMESH_PARENT_PID']);
  lifecycle.forceSignal.addEventListener('abort', () => {
    setTimeout(() => process.exit(EXIT_FAILURE), FORCED_CLEANUP_MS).unref();
  });
  let clean = false;
  try {
    await service.start();
    await aborted(lifecycle.stopSignal);
    await service.drain();
    clean = true;
  } catch (thrown) {
    clean = service.failed(thrown);
    if (!clean) process.exitCode = reportFailure(definition.name, thrown);
  }
  await finish(service, clean);
}

async function finish<C extends BaseConfig>(service: ServiceProcess<C>, clean: boolean): Promise<void> {
  const { lifecycle, log } = service;
  const failures = await service.cleanUp();
  if (failures > 0 || service.lost) process.exitCode = EXIT_FAILURE;
  if (clean) lifecycle.set('STOPPED');
  if (lifecycle.forceSignal.aborted) process.exit();
  setTimeout(() => {
    log.warn('the event loop is still active after the clean-up, exiting anyway');
    process.exit();
  }, LAST_RESORT_MS).unref();
}

/** Writes to stderr what failed and what to do. @returns the exit code */
function reportFailure(name: string, thrown: unknown): number {
  const known = thrown instanceof MeshError && (thrown.reason !== 'INTERNAL' || thrown.cause === undefined);
  const text = known ? thrown.message : thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  process.stderr.write(`${name}: ${text}\n`);
  return known && (thrown.reason === 'CONFIG_INVALID' || thrown.reason === 'MODEL_INVALID')
    ? EXIT_CONFIG
    : EXIT_FAILURE;
}
