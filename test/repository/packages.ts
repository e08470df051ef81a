/** The dependency graph between the packages of this repository, read from the imports of their sources. */
import { readFileSync } from 'node:fs';
import { globSync } from '../support/glob.js';

/** Packages from the bottom up: each may import only packages of lower layers. Services import libs, never each other. */
export const LAYERS: readonly (readonly string[])[] = [
  ['libs/contracts', 'libs/client', 'libs/livekit'],
  ['libs/media', 'libs/service-kit'],
  ['libs/inference', 'libs/webrtc'],
  ['libs/chunk-worker'],
  [
    'services/gateway',
    'services/audio-ingest',
    'services/audio-llm-bridge',
    'services/score-model',
    'services/vae-decode',
    'services/webrtc-egress',
  ],
  ['deploy/local'],
];

export interface PackageImport {
  readonly from: string;
  readonly to: string;
  readonly file: string;
}

const PACKAGES = LAYERS.flat();
const folderOf = (name: string): string | undefined => PACKAGES.find((folder) => folder.endsWith(`/${name}`));
/** Code that runs in production: no tests and no testing helpers. */
const sourcesOf = (folder: string): string[] =>
  globSync([`${folder}/src`], /(?<!\.test)\.ts$/).filter(
    (path) => !/\/(testing|test-fixtures|gen)(\/|\.ts$)/.test(path),
  );

/** Every import of one package by another, test code left out. */
export function packageImports(): PackageImport[] {
  return PACKAGES.flatMap((from) =>
    sourcesOf(from).flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/from '@talkmesh\/([\w-]+)(?:\/[\w-]+)?'/g)].flatMap((match) => {
        const to = folderOf(match[1] as string);
        return to === undefined ? [] : [{ from, to, file }];
      }),
    ),
  );
}

/** The graph as a Mermaid flow chart, one arrow for each package that imports another. */
export function packageGraph(imports: readonly PackageImport[] = packageImports()): string {
  const arrows = new Set(imports.map(({ from, to }) => `  ${nameOf(from)} --> ${nameOf(to)}`));
  const layers = LAYERS.map(
    (folders, layer) =>
      `  subgraph layer${layer}[" "]\n${folders.map((folder) => `    ${nameOf(folder)}`).join('\n')}\n  end`,
  );
  return ['```mermaid', 'flowchart TD', ...[...layers].reverse(), ...[...arrows].sort(), '```'].join('\n');
}

const nameOf = (folder: string): string => folder.split('/')[1] as string;
