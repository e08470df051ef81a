/** Writes the dashboards and rules into the chart: `npm run monitoring`. A test compares them with what is committed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { calls } from './dashboards/calls.js';
import { nats } from './dashboards/nats.js';
import { overview } from './dashboards/overview.js';
import { pipeline } from './dashboards/pipeline.js';
import { workers } from './dashboards/workers.js';
import { GROUPS } from './rules.js';

export const DASHBOARDS: Readonly<Record<string, object>> = { overview, pipeline, workers, calls, nats };

const FOLDER = 'deploy/helm/talkmesh/files';

/** Contents of the generated files, by path. JSON is YAML too, so Prometheus reads the rules as they are. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const json = (value: unknown): string => `${JSON.stringify(value, undefined, 1)}\n`;
  return new Map([
    [`${FOLDER}/rules.json`, json({ groups: GROUPS })],
    ...Object.entries(DASHBOARDS).map(([name, board]) => [`${FOLDER}/dashboards/${name}.json`, json(board)] as const),
  ]);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  for (const [path, text] of generatedFiles()) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
