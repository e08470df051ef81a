/** Which files of a folder hold the networks of a public model. Only headers are read. */
import { readdir, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { MeshError } from '@talkmesh/contracts';
import { openWeights, type Weights } from '../compile/safetensors.js';
import { sameShape } from '../compile/tensors.js';
import type { WeightEntry } from '../compile/weight-file.js';

export interface WantedNetwork {
  readonly name: string;
  /** What it is and where it comes from, for messages. */
  readonly about: string;
  /** A tensor by which it is recognised, whatever comes before its name. */
  readonly anchor: string;
  /** Tensors by name, with their shapes; several when publishers name them in several ways. */
  readonly variants: readonly ReadonlyMap<string, readonly number[]>[];
  readonly optional?: boolean;
  /** Whether a tensor may have a multiple of the rows. */
  readonly moreRows?: boolean;
}

export interface FoundNetwork {
  readonly wanted: WantedNetwork;
  /** Relative to the folder. */
  readonly files: readonly string[];
  /** What the files put before the names. */
  readonly prefix: string;
  /** The tensors that are needed. */
  readonly entries: readonly WeightEntry[];
}

const MAX_DEPTH = 4;
const SHOWN = 5;

/** What a folder holds of a network. */
export interface LookedFor {
  readonly wanted: WantedNetwork;
  /** The files that it is in; undefined when there are none, or several to choose from. */
  readonly found: FoundNetwork | undefined;
  /** What is missing, double or of another shape, with what to do. */
  readonly problems: readonly string[];
}

/**
 * Finds each network in one folder, or folder below it.
 * @throws MeshError MODEL_INVALID with everything that is missing, double or of another shape; also for damaged and hostile files
 */
export async function findNetworks(folder: string, wanted: readonly WantedNetwork[]): Promise<FoundNetwork[]> {
  const looked = await lookForNetworks(folder, wanted);
  const problems = looked.flatMap((network) => network.problems);
  if (problems.length > 0) {
    const more = problems.length > SHOWN ? `; and ${problems.length - SHOWN} more` : '';
    throw new MeshError('MODEL_INVALID', `${folder}: ${problems.slice(0, SHOWN).join('; ')}${more}`);
  }
  return looked.flatMap(({ found }) => found ?? []);
}

/** As `findNetworks`, but says what is wrong instead of throwing. @throws MeshError MODEL_INVALID for a folder without such files, and for damaged and hostile ones */
export async function lookForNetworks(folder: string, wanted: readonly WantedNetwork[]): Promise<LookedFor[]> {
  const files = await weightFiles(folder, wanted);
  const opened = await Promise.all(files.map(async (file) => ({ file, weights: await openWeights(folder, [file]) })));
  return wanted.map((network) => {
    const places = new Map<string, string>();
    for (const { file, weights } of opened)
      for (const name of weights.entries.keys())
        if (name === network.anchor || name.endsWith(`.${network.anchor}`))
          places.set(`${dirname(file)}\0${name.slice(0, -network.anchor.length)}`, file);
    if (places.size === 0 && network.optional === true) return { wanted: network, found: undefined, problems: [] };
    if (places.size !== 1) {
      const where = [...places.values()].join(' and ');
      const problem =
        places.size === 0
          ? `${network.name}: no file has ${network.anchor}; add ${network.about}`
          : `${network.name} is in ${where}; leave only one of them in the folder`;
      return { wanted: network, found: undefined, problems: [problem] };
    }
    const [[place = '', anchored = ''] = []] = places;
    const [inside = '', prefix = ''] = place.split('\0');
    const beside = opened.filter(({ file }) => dirname(file) === inside);
    const match = matchNetwork(network, prefix, beside, anchored);
    return { wanted: network, found: match.network, problems: match.problems };
  });
}

function matchNetwork(
  wanted: WantedNetwork,
  prefix: string,
  beside: readonly { readonly file: string; readonly weights: Weights }[],
  anchored: string,
): { readonly network: FoundNetwork; readonly problems: string[] } {
  const tried = wanted.variants.map((tensors) => {
    const problems: string[] = [];
    const entries: WeightEntry[] = [];
    for (const [tensor, dims] of tensors) {
      const name = `${prefix}${tensor}`;
      const entry = beside.map(({ weights }) => weights.entries.get(name)).find((one) => one !== undefined);
      if (entry === undefined)
        problems.push(`${wanted.name}: ${anchored} lacks tensor ${name} [${dims}]; fetch ${wanted.about} again`);
      else if (!sameShape(entry.dims, dims) && !(wanted.moreRows === true && hasMoreRows(entry.dims, dims)))
        problems.push(
          `${wanted.name}: ${entry.file}: tensor ${name} is [${entry.dims}], not [${dims}]; use ${wanted.about}`,
        );
      else entries.push(entry);
    }
    return { problems, entries };
  });
  const best = tried.sort((a, b) => a.problems.length - b.problems.length)[0] ?? { problems: [], entries: [] };
  const files = [...new Set(best.entries.map(({ file }) => file))];
  return { network: { wanted, files, prefix, entries: best.entries }, problems: best.problems };
}

function hasMoreRows(found: readonly number[], wanted: readonly number[]): boolean {
  const [rows = 0, ...rest] = found;
  return rest.join() === wanted.slice(1).join() && rows % (wanted[0] ?? 1) === 0;
}

/** Relative paths of all weight files, of real files inside the folder only. */
async function weightFiles(folder: string, wanted: readonly WantedNetwork[]): Promise<string[]> {
  let names: string[];
  let root: string;
  try {
    root = await realpath(folder);
    names = await readdir(folder, { recursive: true });
  } catch (cause) {
    throw new MeshError('MODEL_INVALID', `${folder} cannot be read; name the folder that holds the files`, { cause });
  }
  const files = names.filter((name) => /\.(safetensors|pth|pt)$/.test(name) && name.split(sep).length <= MAX_DEPTH);
  for (const file of files) {
    const inside = relative(root, await realpath(join(folder, file)));
    if (inside.startsWith('..'))
      throw new MeshError(
        'MODEL_INVALID',
        `${join(folder, file)} is a link that leaves the folder; put the file itself there`,
      );
  }
  if (files.length === 0) {
    const needed = wanted.filter(({ optional }) => optional !== true).map(({ about }) => about);
    throw new MeshError(
      'MODEL_INVALID',
      `${folder} holds no .safetensors or .pth file; name the folder that holds them, or put there: ${needed.join('; ')}`,
    );
  }
  return files.sort();
}
