import { moduleUrl } from '../testing/modules.js';
import { ServiceProcess } from '../testing/service-process.js';

/** Starts the worker of `main.ts` in this folder. */
export const startFixtureService = (env: Record<string, string>, nodeFlags: readonly string[] = []): ServiceProcess =>
  new ServiceProcess(moduleUrl('./main', import.meta.url), { TALKMESH_DRAIN_DEADLINE_MS: '10000', ...env }, nodeFlags);
