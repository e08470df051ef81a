import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Files below the roots whose path matches, sorted; node_modules, dist and dot folders are left out. */
export function globSync(roots: readonly string[], pattern: RegExp): string[] {
  const found: string[] = [];
  const walk = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist') continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (pattern.test(path)) found.push(path);
    }
  };
  for (const root of roots) walk(root);
  return found.sort();
}
