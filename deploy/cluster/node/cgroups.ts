/** cgroups are of the machine, not of a namespace: made before the run, removed after it. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** All cgroups of the run are below this one, in every hierarchy. */
export const CGROUP = 'talkmesh-cluster';
const MOUNT = '/sys/fs/cgroup';
const REMOVE_MS = 10_000;

/** With version 1 each controller has a hierarchy; with version 2 there is one. */
const hierarchies = (): string[] =>
  existsSync(join(MOUNT, 'cgroup.controllers')) ? [MOUNT] : readdirSync(MOUNT).map((name) => join(MOUNT, name));

export async function makeCgroups(): Promise<void> {
  for (const hierarchy of hierarchies()) await mkdir(join(hierarchy, CGROUP), { recursive: true });
}

/** @throws Error when processes are still in one */
export async function removeCgroups(): Promise<void> {
  for (const hierarchy of hierarchies())
    for (const end = Date.now() + REMOVE_MS; existsSync(join(hierarchy, CGROUP)); await sleep(100))
      await removeTree(join(hierarchy, CGROUP)).catch((error: Error) => {
        if (Date.now() > end) throw error;
      });
}

/** Files of a cgroup vanish with it, so only folders are removed, the inner ones first. */
async function removeTree(folder: string): Promise<void> {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  await rmdir(folder);
}
