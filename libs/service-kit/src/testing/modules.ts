import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A module that is compiled when its caller is, and TypeScript when its caller is. @param name path without extension @param base `import.meta.url` of the caller */
export const moduleUrl = (name: string, base: string): URL => new URL(`${name}${extname(fileURLToPath(base))}`, base);

/** The flags with which node starts a module: TypeScript needs a loader, and packages that are TypeScript too. */
export const flagsOf = (module: URL): readonly string[] =>
  module.pathname.endsWith('.ts') ? ['--import', import.meta.resolve('tsx'), '--conditions=source'] : [];
