import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Scripts for browsers, by the file that they are served as: the demo page, and the component that other pages embed. */
const ENTRIES = { 'page.js': './main.ts', 'talk-mesh.js': './talk-mesh.ts' } as const;
export type ScriptName = keyof typeof ENTRIES;
export const SCRIPTS = Object.keys(ENTRIES) as readonly ScriptName[];

/** Bundles a script with the browser SDK. Rejects when it cannot be built. @returns the JavaScript */
export async function bundleScript(name: ScriptName): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(ENTRIES[name], import.meta.url))],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    conditions: ['source'],
    minify: true,
    write: false,
    logLevel: 'silent',
  });
  const [script] = outputFiles;
  if (script === undefined) throw new Error('esbuild wrote no script');
  return script.contents;
}
