import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isAllowed, LICENCE_PAGE, licencePage, shippedPackages } from './licences.js';

test('every package that ships has a licence that allows commercial use and is no GPL', () => {
  const shipped = shippedPackages();
  assert.ok(shipped.length > 50, 'the lock file was understood');
  assert.deepEqual(
    shipped.filter(({ licence }) => !isAllowed(licence)),
    [],
  );
  for (const expression of ['GPL-3.0-only', 'MIT AND GPL-2.0-or-later', 'AGPL-3.0', 'SEE LICENSE IN x', ''])
    assert.equal(isAllowed(expression), false, expression);
  for (const expression of ['MIT', '(GPL-2.0 OR MIT)', 'MIT AND ISC']) assert.equal(isAllowed(expression), true);
});

test('the page of licences is what npm run docs writes', () => {
  assert.equal(readFileSync(LICENCE_PAGE, 'utf8'), licencePage());
});
