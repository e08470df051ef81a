/** A release over copies of this repository: what is refused, what a dry run leaves alone, what a release commits. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { temporaryFolder } from '../../test/support/temporary-folder.js';
import { type Artifacts, npmFaults } from './artifacts.js';
import { type ReleaseOptions, release } from './release.js';
import { compareVersions, releasedChangelog } from './versions.js';

const folder = temporaryFolder('release');
const repository = join(folder, 'repository');
const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const git = (...args: string[]): string =>
  execFileSync('git', args, { cwd: repository, encoding: 'utf8', stdio: 'pipe' }).trim();
const version = (): string => JSON.parse(read('package.json')).version as string;
const next = (): string => version().replace(/\d+$/, (patch) => String(Number(patch) + 1));

before(() => {
  execFileSync('git', ['clone', '--quiet', '--shared', '.', repository], { stdio: 'pipe' });
  git('switch', '--quiet', '--force-create', 'work');
  git('config', 'user.name', 'A Tester');
  git('config', 'user.email', 'tester@example.com');
  for (const tag of git('tag', '--list').split('\n').filter(Boolean)) git('tag', '--delete', tag);
  appendFileSync(join(repository, '.git/info/exclude'), 'node_modules\n');
  symlinkSync(resolve('node_modules'), join(repository, 'node_modules'));
  writeChangelog('**Faces.** New: noses.');
});

function writeChangelog(unreleased: string): void {
  writeFileSync(
    join(repository, 'CHANGELOG.md'),
    `# Changelog\n\n## Unreleased\n\n${unreleased}\n\n## 0.0.9 - 2026-01-01\n\nOld.\n`,
  );
  git('commit', '--quiet', '--all', '--message', 'What changes');
}

async function releaseOf(change: Partial<ReleaseOptions>): Promise<string> {
  const lines: string[] = [];
  await release({
    ...{ root: repository, version: next(), dryRun: true, publish: false, registry: '', date: '2026-11-30' },
    say: (line) => lines.push(line),
    ...change,
  });
  return lines.join('\n');
}

test('versions are ordered as in Semantic Versioning', () => {
  const ordered = [
    '0.1.0-alpha',
    '0.1.0-alpha.1',
    '0.1.0-alpha.beta',
    '0.1.0-rc.2',
    '0.1.0-rc.11',
    '0.1.0',
    '0.2.0',
    '0.10.0',
    '1.0.0',
  ];
  assert.deepEqual([...ordered].reverse().sort(compareVersions), ordered);
  assert.throws(() => compareVersions('1.0', '1.0.0'), /is no version/);
});

test('the section of the changelog moves below a heading of the version; an empty one is refused', () => {
  const { text, notes } = releasedChangelog(
    '# C\n\n## Unreleased\n\nNew.\n\n## 0.1.0 - 2026\n\nOld.\n',
    '0.2.0',
    '2027-01-02',
  );
  assert.equal(text, '# C\n\n## Unreleased\n\n## 0.2.0 - 2027-01-02\n\nNew.\n\n## 0.1.0 - 2026\n\nOld.\n');
  assert.equal(notes, 'New.');
  assert.equal(
    releasedChangelog('## Unreleased\n\nNew.\n', '0.2.0', 'today').text,
    '## Unreleased\n\n## 0.2.0 - today\n\nNew.\n',
  );
  assert.throws(() => releasedChangelog('## Unreleased\n\n## 0.1.0 - 2026\n', '0.2.0', 'today'), /is empty/);
  assert.throws(() => releasedChangelog('# C\n', '0.2.0', 'today'), /no section/);
  assert.throws(
    () => releasedChangelog('## Unreleased\n\nx\n\n## 0.2.0 - a\n', '0.2.0', 'today'),
    /section of 0\.2\.0 already/,
  );
});

test('an npm package with wrong contents is refused', () => {
  const manifest = { version: '0.2.0', exports: { '.': { types: './dist/index.d.ts' } } };
  const files = ['README.md', 'LICENSE', 'package.json', 'dist/index.d.ts'];
  assert.deepEqual(npmFaults(manifest, files, '0.2.0'), []);
  const faults = [
    npmFaults(manifest, files, '0.3.0'),
    npmFaults(manifest, files.slice(1), '0.2.0'),
    npmFaults(manifest, files.slice(0, 3), '0.2.0'),
    npmFaults(manifest, [...files, 'src/a.test.ts', '.env'], '0.2.0'),
    npmFaults({ ...manifest, private: true, dependencies: { '@talkmesh/contracts': '0.2.0' } }, files, '0.2.0'),
  ].map((found) => found.length);
  assert.deepEqual(faults, [1, 1, 1, 2, 2]);
});

test('what is in the way is said before anything is changed', async () => {
  const head = git('rev-parse', 'HEAD');
  await assert.rejects(releaseOf({ version: '1.2' }), /"1\.2" is no version/);
  await assert.rejects(releaseOf({ version: '0.0.1' }), /0\.0\.1 is below .*, the version of package\.json/);
  await assert.rejects(releaseOf({ publish: true }), /leave one of --dry-run and --publish out/);
  await assert.rejects(releaseOf({ publish: true, dryRun: false }), /needs TALKMESH_IMAGE_REGISTRY/);
  git('tag', 'v7.0.0');
  await assert.rejects(releaseOf({ version: '7.0.0' }), /the tag v7\.0\.0 exists already/);
  await assert.rejects(releaseOf({}), /is not above 7\.0\.0, the newest release/);
  git('tag', '--delete', 'v7.0.0');
  writeFileSync(join(repository, 'new.txt'), '');
  await assert.rejects(releaseOf({}), /working tree has changes: commit or stash.*\n\?\? new\.txt/);
  git('clean', '--quiet', '--force');
  git('checkout', '--quiet', '--detach');
  await assert.rejects(releaseOf({}), /no branch is checked out/);
  git('switch', '--quiet', 'work');
  writeChangelog('');
  await assert.rejects(releaseOf({ dryRun: false }), /"## Unreleased" of CHANGELOG\.md is empty/);
  git('reset', '--quiet', '--hard', 'HEAD~1');
  assert.deepEqual([git('rev-parse', 'HEAD'), git('status', '--porcelain'), git('tag')], [head, '', '']);
});

test('a dry run makes and checks everything that is published, and changes nothing', { timeout: 600_000 }, async () => {
  const [head, wanted] = [git('rev-parse', 'HEAD'), next()];
  const said = await releaseOf({});
  assert.deepEqual([git('rev-parse', 'HEAD'), git('status', '--porcelain'), git('tag')], [head, '', '']);
  assert.ok(!existsSync(join(repository, 'out')));
  const made = /The files to look at are in (.*)\.$/m.exec(said)?.[1] as string;
  assert.deepEqual(readdirSync(made).sort(), [
    `talkmesh-${wanted}.cdx.json`,
    `talkmesh-${wanted}.tgz`,
    `talkmesh-client-${wanted}.tgz`,
    `talkmesh-livekit-${wanted}.tgz`,
  ]);
  after(() => rmSync(dirname(made), { recursive: true, force: true }));
  for (const line of [
    '**Faces.** New: noses.',
    `docker push REGISTRY/talkmesh/vae-decode:${wanted}`,
    `helm push ${made}/talkmesh-${wanted}.tgz oci://REGISTRY/charts`,
    `npm publish ${made}/talkmesh-client-${wanted}.tgz --access public`,
    `git push origin HEAD v${wanted}`,
  ])
    assert.ok(said.includes(line), line);
});

const make = async (_source: string, target: string, of: string): Promise<Artifacts> => {
  execFileSync('mkdir', ['-p', target]);
  const [npm, chart, sbom] = ['client.tgz', 'chart.tgz', 'sbom.json'].map((name) => join(target, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [npm, chart, sbom]) writeFileSync(path, of);
  return { npm: [npm], chart, sbom };
};

test('a branch that moves while the release is made gets neither commit nor tag', { timeout: 300_000 }, async () => {
  const before = git('rev-parse', 'HEAD');
  const meanwhile: typeof make = (...args) => {
    git('commit', '--quiet', '--allow-empty', '--message', 'Meanwhile');
    return make(...args);
  };
  await assert.rejects(
    releaseOf({ version: '8.0.0', dryRun: false, make: meanwhile }),
    /has changed since the release/,
  );
  assert.deepEqual([git('rev-parse', 'HEAD~1'), git('status', '--porcelain'), git('tag')], [before, '', '']);
  git('reset', '--quiet', '--hard', before);
  rmSync(join(repository, 'out'), { recursive: true, force: true });
});

test('a release names its version everywhere in one commit, which is tagged, and publishes only when told to', {
  timeout: 300_000,
}, async () => {
  const [before, old] = [git('rev-parse', 'HEAD'), version()];
  const said = await releaseOf({ version: '9.0.0', dryRun: false, registry: 'registry.example.com/team', make });
  assert.equal(git('rev-parse', 'HEAD~1'), before);
  assert.equal(git('rev-parse', 'v9.0.0^{commit}'), git('rev-parse', 'HEAD'));
  assert.equal(git('cat-file', '-t', 'v9.0.0'), 'tag');
  assert.equal(git('log', '-1', '--format=%s %an'), 'Release 9.0.0 A Tester');
  assert.equal(git('status', '--porcelain'), '');
  assert.equal(git('ls-files', 'node_modules'), '');
  assert.match(read('CHANGELOG.md'), /## Unreleased\n\n## 9\.0\.0 - 2026-11-30\n\n\*\*Faces/);
  assert.match(read('deploy/helm/talkmesh/Chart.yaml'), /^version: 9\.0\.0\nappVersion: "9\.0\.0"$/m);
  const lock = JSON.parse(read('package-lock.json'));
  assert.deepEqual([lock.version, lock.packages['libs/client'].version], ['9.0.0', '9.0.0']);
  const naming = git('ls-files', '*package.json', 'deploy/helm/talkmesh/Chart.yaml', 'deploy/docker').split('\n');
  assert.ok(naming.length > 15);
  assert.deepEqual(
    naming.filter((path) => read(path).includes(old)),
    [],
  );
  assert.ok(existsSync(join(repository, 'test/compatibility/9.0/nats.json')));
  assert.equal(readFileSync(join(repository, 'out/release/9.0.0/client.tgz'), 'utf8'), '9.0.0');
  assert.match(said, /docker push registry\.example\.com\/team\/talkmesh\/gateway:9\.0\.0/);
  await assert.rejects(releaseOf({ version: '9.0.0', dryRun: false, make }), /the tag v9\.0\.0 exists already/);
});
