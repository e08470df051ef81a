import { readFile } from 'node:fs/promises';

/** Reads a JSON file. @returns undefined when it is not there (yet, or any more), or not what it should be */
export async function readJson<T>(path: string, parse: (json: unknown) => T): Promise<T | undefined> {
  try {
    return parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}
