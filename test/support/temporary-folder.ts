import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A fresh folder that is deleted after the tests of the calling file. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `talkmesh-${name}-`));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
