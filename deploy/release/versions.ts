/** Version numbers, and the section of the changelog that a release gets. */

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;

export const isVersion = (text: string): boolean => VERSION.test(text);

/**
 * The order of Semantic Versioning 2.0, https://semver.org: numbers by value, and a pre-release before its release.
 * @returns below 0 when `a` is older, 0 when they are equal
 * @throws Error when one is not MAJOR.MINOR.PATCH or MAJOR.MINOR.PATCH-PRERELEASE
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)];
  for (let i = 0; i < 3; i += 1) {
    const difference = Number(left.numbers[i]) - Number(right.numbers[i]);
    if (difference !== 0) return difference;
  }
  if (left.before.length === 0 || right.before.length === 0) return right.before.length - left.before.length;
  return comparePreReleases(left.before, right.before);
}

function partsOf(version: string): { readonly numbers: readonly string[]; readonly before: readonly string[] } {
  const match = VERSION.exec(version);
  if (match === null)
    throw new Error(`"${version}" is no version: it is MAJOR.MINOR.PATCH, such as 0.2.0 or 0.2.0-rc.1`);
  return { numbers: match.slice(1, 4), before: match[4]?.split('.') ?? [] };
}

function comparePreReleases(a: readonly string[], b: readonly string[]): number {
  const isNumber = (part: string): boolean => /^\d+$/.test(part);
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const [left, right] = [a[i] as string, b[i] as string];
    if (left === right) continue;
    if (isNumber(left) && isNumber(right)) return Number(left) - Number(right);
    if (isNumber(left) !== isNumber(right)) return isNumber(left) ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return a.length - b.length;
}

const UNRELEASED = '## Unreleased';

export interface ReleasedChangelog {
  /** The whole file: what was unreleased is a section of the version, below an empty section for what comes next. */
  readonly text: string;
  /** The section of the version, without its heading. */
  readonly notes: string;
}

/** @param date `2026-11-30` @throws Error when there is nothing to release */
export function releasedChangelog(text: string, version: string, date: string): ReleasedChangelog {
  const begin = text.indexOf(`${UNRELEASED}\n`);
  if (begin < 0) throw new Error(`CHANGELOG.md has no section "${UNRELEASED}"`);
  if (text.includes(`## ${version} `)) throw new Error(`CHANGELOG.md has a section of ${version} already`);
  const from = begin + UNRELEASED.length + 1;
  const next = text.indexOf('\n## ', from);
  const notes = text.slice(from, next < 0 ? undefined : next).trim();
  if (notes === '')
    throw new Error(`"${UNRELEASED}" of CHANGELOG.md is empty: write what this release changes for those who use it`);
  const rest = next < 0 ? '' : text.slice(next + 1);
  return {
    notes,
    text: `${text.slice(0, from)}\n## ${version} - ${date}\n\n${notes}\n${rest === '' ? '' : `\n${rest}`}`,
  };
}
