/** The files that name the version, and how it is replaced in them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Rule = (text: string, from: string, to: string) => string;

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
/** Replaces the version where a pattern matches; `@` in it stands for the version. */
const where =
  (...patterns: readonly string[]): Rule =>
  (text, from, to) =>
    patterns.reduce(
      (changed, pattern) =>
        changed.replace(new RegExp(pattern.replace('@', literal(from)), 'gm'), (found) => found.replace(from, to)),
      text,
    );

interface Manifest {
  version?: string;
  [group: string]: unknown;
}
const DEPENDENCIES = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies'] as const;

function bumpManifest(manifest: Manifest, from: string, to: string): void {
  if (manifest.version === from) manifest.version = to;
  for (const group of DEPENDENCIES) {
    const entries = (manifest[group] ?? {}) as Record<string, string>;
    for (const name of Object.keys(entries))
      if (name.startsWith('@talkmesh/') && entries[name] === from) entries[name] = to;
  }
}

const manifest: Rule = (text, from, to) => {
  const json = JSON.parse(text) as Manifest;
  bumpManifest(json, from, to);
  return `${JSON.stringify(json, undefined, 2)}\n`;
};

/** Only the packages of the repository: a package from a registry may have the same version. */
const lockFile: Rule = (text, from, to) => {
  const json = JSON.parse(text) as Manifest & { packages: Record<string, Manifest> };
  bumpManifest(json, from, to);
  for (const [path, entry] of Object.entries(json.packages))
    if (!path.includes('node_modules/')) bumpManifest(entry, from, to);
  return `${JSON.stringify(json, undefined, 2)}\n`;
};

const RULES: Readonly<Record<string, Rule>> = {
  'package-lock.json': lockFile,
  'deploy/helm/talkmesh/Chart.yaml': where('^version: @$', '^appVersion: "@"$'),
  'deploy/helm/talkmesh/profiles/gpu.yaml': where('tag: @-cuda'),
  'deploy/docker/compose.yaml': where('TALKMESH_VERSION:-@\\}'),
  'deploy/docker/Dockerfile': where('^ARG VERSION=@$', 'gateway:@ '),
  'deploy/docker/README.md': where('gateway:@ ', '`@`, `unknown`'),
};

/**
 * Writes the new version into every file that names it.
 * @param packages paths of the package.json files
 * @returns the files that changed
 * @throws Error when a file does not name the old version
 */
export function bumpVersion(root: string, packages: readonly string[], from: string, to: string): string[] {
  const rules = { ...RULES, ...Object.fromEntries(packages.map((path) => [path, manifest])) };
  for (const [path, rule] of Object.entries(rules)) {
    const text = readFileSync(join(root, path), 'utf8');
    const changed = rule(text, from, to);
    if (changed === text && from !== to) throw new Error(`${path} does not name the version ${from}`);
    writeFileSync(join(root, path), changed);
  }
  return Object.keys(rules);
}
