/** Code, comments and documents use the field's terms; the glossary is in docs/architecture.md. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { globSync } from '../support/glob.js';

/** Words that readers had to decode, and what to write instead. Matched in identifiers too, by their camelCase parts. */
const INSTEAD: Readonly<Record<string, string>> = {
  whoever: 'the caller, worker, subscriber or client that is meant',
  somebody: 'the caller, worker, subscriber or client that is meant',
  nobody: 'no caller, worker, subscriber or client',
  anybody: 'the caller, worker, subscriber or client that is meant',
  everybody: 'all callers, workers, subscribers or clients',
  untold: 'not yet reported',
  farewell: 'close or disconnect message',
  turnstile: 'semaphore',
  residents: 'admitted sessions',
  ears: 'audio encoder',
  mind: 'score model',
  recall: 'read back',
  refill: 'read back, or fill the gap',
  remake: 'regenerate',
  remaking: 'regenerating',
};
const PATTERN = new RegExp(`(?<![a-z])(${Object.keys(INSTEAD).join('|')})(?![a-z])`, 'gi');
/** Words inside words are not meant: an identifier is cut at its capitals. */
const splitIdentifiers = (text: string): string => text.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2');

/** These files list the words, draw faces that have ears, or hold sentences that are spoken in training. */
const EXCEPT = /^(test\/repository\/|training\/talkmesh_nano\/(render\/|speech\/text\.py))/;

const ROOTS = ['libs', 'services', 'deploy', 'test', 'docs', 'protos', 'training', 'models'];
const FILES = [...globSync(ROOTS, /\.(ts|mjs|py|proto|md|html|css)$/), 'README.md', 'CONTRIBUTING.md'].filter(
  (path) => !EXCEPT.test(path),
);

test('no private words', () => {
  const found = FILES.flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .flatMap((line, i) =>
        [...splitIdentifiers(line).matchAll(PATTERN)].map(
          ([word]) => `${path}:${i + 1}: "${word}", write: ${INSTEAD[word.toLowerCase()]}`,
        ),
      ),
  );
  assert.deepEqual(found, [], found.slice(0, 20).join('\n'));
});
