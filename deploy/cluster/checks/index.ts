import { autoscaling } from './autoscaling.js';
import type { Check } from './check.js';
import { drains } from './drain.js';
import { dryRuns } from './dry-run.js';
import { fullDisk } from './full-disk.js';
import { fullLogs } from './full-logs.js';
import { incident } from './incident.js';
import { helmTest, install, uninstall } from './install.js';
import { exhausted } from './memory.js';
import { natsRestart } from './nats-restart.js';
import { policies } from './policies.js';
import { refusals } from './refusals.js';
import { releases } from './releases.js';
import { resources } from './resources.js';
import { rolledCalls } from './rolled-calls.js';

/** Need an API server only. */
export const API_SERVER_CHECKS: readonly Check[] = [...dryRuns, ...refusals, ...releases];
/** Need a node, on which the pods of the chart run. In order: they share one release. */
export const NODE_CHECKS: readonly Check[] = [
  install,
  resources,
  helmTest,
  policies,
  ...rolledCalls,
  ...drains,
  ...exhausted,
  natsRestart,
  fullLogs,
  fullDisk,
  autoscaling,
  incident,
  uninstall,
];
