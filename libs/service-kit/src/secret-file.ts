import { readFileSync, statSync } from 'node:fs';
import { envName } from './config.js';

/**
 * Reads a secret from a file that only its owner and group may read.
 * @param key name of the setting that holds the path; `problems` receives what is wrong with the file
 * @returns undefined when no file is set or it cannot be read
 */
export function readSecret(key: string, path: string, problems: string[]): string | undefined {
  if (path === '') return undefined;
  try {
    if ((statSync(path).mode & 0o007) !== 0)
      problems.push(`${envName(key)}: every user of this host can read ${path}; run chmod 640 on it`);
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    problems.push(
      `${envName(key)}: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}); check path and permissions`,
    );
    return undefined;
  }
}
