import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  CHECKPOINTS,
  type CheckpointManifest,
  type CheckpointName,
  type CheckpointReport,
  checkCheckpoint,
  checkLora,
  checkpoint,
  flashHeadNetworks,
  type ImportOptions,
  importCheckpoint,
  LIVETALK_SIZES,
  type LookedFor,
  type LoraReport,
  liveTalkNetworks,
  lookForNetworks,
  type NewAvatar,
  type WantedNetwork,
  writeLiveTalkManifest,
} from '@talkmesh/inference';
import { avatarOfPicture } from './avatar-picture.js';
import { EXIT, UsageError } from './cli-errors.js';
import { floorText } from './floor.js';
import { recordIdle } from './idle/idle.js';

export const MODELS_HELP = `talkmesh models check ${CHECKPOINTS.join('|')} --from FOLDER [--lora FILE]
  Says whether the .safetensors and .pth files of a folder hold this public checkpoint: every tensor's name and shape, by the
  files' headers; of livetalk and flashhead also whether the other files for an import are there, in this folder or below it, and
  where to get them. Damaged and hostile files are refused, and nothing in a file is executed. Ends with 1 when something is missing.
  --lora FILE         also says whether an adapter fits it, such as LiveAvatar's for s2v-14b

talkmesh models import livetalk --from FOLDER --out FOLDER --avatar PICTURE... [--decoder codec|taehv]
                                [--lora FILE [--lora-alpha N]]
  Finds the files of LiveTalk-1.3B below a folder, checks every tensor's name, shape and numbers, and writes a model folder for
  --model with their sha256. Weights stay where they are; an adapter is merged into a file of its own. Run it again to continue.
  --avatar PICTURE    a PNG or JPEG file, as often as wanted: its middle becomes an avatar with the name of the file
  --decoder codec     the decoder that the model was trained with (default); taehv: TAEW2.1, which is faster
  No real file of it was at hand: see docs/models.md for what was tried.

talkmesh models import flashhead --from FOLDER --out FOLDER
  Does the same with the files of FlashHead-1.3B (Model_Pro). No service runs this model yet, so it writes no model for --model.

talkmesh models floor [--from MODEL]
  Prints what one chunk of LiveTalk-1.3B, or of an imported model folder, computes and reads, counted in its graphs, and the least
  time and memory that it can take on some GPUs, by their makers' numbers. Arithmetic: nothing runs, and no weights are needed.

talkmesh models idle --from FOLDER
  Records the avatars of a model in silence, a few seconds each, which pages show before a call.`;
const USAGE = MODELS_HELP.split('\n')
  .filter((line) => line.startsWith('talkmesh'))
  .join(', or: ');
const DECODERS = ['codec', 'taehv'] as const;

const SHOWN = 10;
const BYTES_PER_GB = 1e9;

/** Runs `talkmesh models check`, `import`, `floor` or `idle`. @returns the exit code @throws UsageError; MeshError MODEL_INVALID */
export async function models(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      from: { type: 'string' },
      out: { type: 'string' },
      lora: { type: 'string' },
      'lora-alpha': { type: 'string' },
      avatar: { type: 'string', multiple: true, default: [] },
      decoder: { type: 'string', default: 'codec' },
    },
    allowPositionals: true,
  });
  const [action, name, ...rest] = positionals;
  const { from, out, lora, 'lora-alpha': alpha, avatar: pictures } = values;
  const decoder = DECODERS.find((known) => known === values.decoder);
  if (action === 'floor' && name === undefined && rest.length === 0 && out === undefined) {
    process.stdout.write(`${await floorText(from)}\n`);
    return EXIT.ok;
  }
  if (from === undefined || rest.length > 0) throw new UsageError(`use: ${USAGE}`);
  if (action === 'idle' && name === undefined && out === undefined && lora === undefined) {
    await recordIdle(from, (line) => process.stderr.write(`${line}\n`));
    return EXIT.ok;
  }
  if (action === 'check' && isKnown(name) && out === undefined) return check(name, from, lora);
  const scale = alpha === undefined ? undefined : Number(alpha);
  const plain = lora === undefined && alpha === undefined && pictures.length === 0 && values.decoder === 'codec';
  if (action === 'import' && name === 'flashhead' && out !== undefined && plain) {
    await importInto(out, { model: name, from, networks: flashHeadNetworks() });
    return EXIT.ok;
  }
  if (
    action !== 'import' ||
    name !== 'livetalk' ||
    out === undefined ||
    pictures.length === 0 ||
    decoder === undefined ||
    Number.isNaN(scale) ||
    (lora === undefined && alpha !== undefined)
  )
    throw new UsageError(`use: ${USAGE}`);
  const adapter = lora === undefined ? {} : { lora: { path: lora, alpha: scale, network: 'score' } };
  const { grid, scale: pixels } = LIVETALK_SIZES;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const avatars: NewAvatar[] = [];
  for (const picture of pictures) avatars.push(await avatarOfPicture(picture, pixels * grid.width, say));
  const made = await importInto(out, { model: name, from, networks: liveTalkNetworks(), ...adapter });
  const { avatars: written } = await writeLiveTalkManifest(out, made, { decoder, avatars });
  process.stdout.write(
    `Try it: talkmesh render --model ${out} --avatar ${written[0]?.id} --audio speech.wav --out talk.mp4\n`,
  );
  return EXIT.ok;
}

/** Imports with a line of progress, and says what was found. */
async function importInto(
  out: string,
  options: Omit<ImportOptions, 'out' | 'onProgress'>,
): Promise<CheckpointManifest> {
  const made = await importCheckpoint({ ...options, out, onProgress: progressLine() });
  process.stderr.write('\n');
  const files = Object.values(made.networks).flatMap((network) => network.files);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  process.stdout.write(
    `${out}: ${Object.keys(made.networks).join(', ')} in ${files.length} files, ${(bytes / BYTES_PER_GB).toFixed(2)} GB, all numbers finite\n`,
  );
  return made;
}

/** Networks of the models that can be imported. */
const IMPORTED: Partial<Readonly<Record<CheckpointName, () => WantedNetwork[]>>> = {
  livetalk: liveTalkNetworks,
  flashhead: flashHeadNetworks,
};

async function check(name: CheckpointName, from: string, lora: string | undefined): Promise<number> {
  const networks = IMPORTED[name]?.();
  const looked = networks === undefined ? [] : await lookForNetworks(from, networks);
  const score = looked.find(({ wanted }) => wanted.name === 'score')?.found;
  const others = looked.filter(({ found }) => found === undefined || found !== score);
  const inside = join(from, dirname(score?.files[0] ?? ''));
  const problems = others.flatMap((network) => network.problems);
  if (looked.length === 0 || score !== undefined) {
    const report = await checkCheckpoint(name, inside);
    process.stdout.write(`${reportText(name, report)}\n`);
    problems.push(...report.problems);
  }
  if (others.length > 0) process.stdout.write(`${othersText(others)}\n`);
  const adapter = lora === undefined ? undefined : await checkLora(checkpoint(name).tensors, lora);
  if (adapter !== undefined) process.stdout.write(`${adapterText(lora ?? '', adapter)}\n`);
  return problems.length + (adapter?.problems.length ?? 0) === 0 ? EXIT.ok : EXIT.failure;
}

function othersText(looked: readonly LookedFor[]): string {
  const lines = looked.flatMap(({ wanted, found, problems }) => {
    if (problems.length > 0) return problems.slice(0, SHOWN);
    if (found === undefined) return [`${wanted.name}: not there, and optional: ${wanted.about}`];
    return [`${wanted.name}: in ${found.files.join(', ')}`];
  });
  return ['What else `models import` needs:', ...lines.map((line) => `  ${line}`)].join('\n');
}

function adapterText(path: string, { adapted, replaced, ranks, problems }: LoraReport): string {
  return [
    `${path}: changes ${adapted} layers by rank ${ranks.join(' and ') || 'none'}, replaces ${replaced} tensors`,
    ...shortened(problems, 'wrong'),
    problems.length === 0 ? 'It fits.' : 'It does not fit: use an adapter of this model.',
  ].join('\n');
}

/** Writes a line of progress to stderr whenever another hundredth is done. */
function progressLine(): (what: string, done: number, total: number) => void {
  let shown = '';
  return (what, done, total) => {
    const line = `${what}: ${Math.floor((100 * done) / total)} %`;
    if (line === shown) return;
    process.stderr.write(process.stderr.isTTY ? `\r${line}\u001b[K` : `${line}\n`);
    shown = line;
  };
}

const isKnown = (name: string | undefined): name is CheckpointName => CHECKPOINTS.some((known) => known === name);

export function reportText(name: CheckpointName, report: CheckpointReport): string {
  const { about, tensors } = checkpoint(name);
  const types = Object.entries(report.types).map(([type, count]) => `${type} ${count}`);
  const prefix = report.prefix === '' ? '' : `, names begin with "${report.prefix}"`;
  return [
    `${about}: ${report.found} of ${tensors.size} tensors in ${report.files.join(', ')}${prefix}`,
    `${(report.parameters / BYTES_PER_GB).toFixed(3)} billion parameters, ${(report.bytes / BYTES_PER_GB).toFixed(2)} GB (${types.join(', ') || 'none'})`,
    ...shortened(report.problems, 'wrong or missing'),
    ...shortened(report.unknown, 'not needed'),
    report.problems.length === 0
      ? 'Complete: every tensor has the right shape. Its values were not read.'
      : report.found === 0
        ? `Not this checkpoint: no tensor of it is in ${report.files.join(', ')}. Name the folder of its files.`
        : 'Not complete: fetch the files again, or name the folder of the right checkpoint.',
  ].join('\n');
}

function shortened(lines: readonly string[], what: string): string[] {
  if (lines.length === 0) return [];
  const more = lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more`] : [];
  return [`${lines.length} ${what}:`, ...lines.slice(0, SHOWN).map((line) => `  ${line}`), ...more];
}
