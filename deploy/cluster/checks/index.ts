import type { Check } from './check.js';
import { dryRun } from './dry-run.js';
import { helmTest, install, uninstall } from './install.js';
import { natsRestart } from './nats-restart.js';
import { networkProbes } from './network-probes.js';
import { outOfMemory } from './out-of-memory.js';
import { rolledCalls } from './rolled-calls.js';
import { viewer } from './viewer.js';

/** In order: each needs the state in which those before it leave the cluster. */
export const CHECKS: readonly Check[] = [
  dryRun,
  install,
  helmTest,
  viewer,
  ...rolledCalls,
  networkProbes,
  outOfMemory,
  natsRestart,
  uninstall,
];
