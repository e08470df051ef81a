import type { Check } from './check.js';
import { dryRuns } from './dry-run.js';
import { refusals } from './refusals.js';
import { releases } from './releases.js';

export const CHECKS: readonly Check[] = [...dryRuns, ...refusals, ...releases];
