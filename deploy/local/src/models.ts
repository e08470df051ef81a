import { parseArgs } from 'node:util';
import {
  CHECKPOINTS,
  type CheckpointName,
  type CheckpointReport,
  checkCheckpoint,
  checkpoint,
} from '@talkmesh/inference';
import { EXIT, UsageError } from './cli-errors.js';

export const MODELS_HELP = `talkmesh models check ${CHECKPOINTS.join('|')} --from FOLDER
  Says whether the .safetensors and .pth files of a folder hold this public checkpoint: every tensor's name and shape, by the
  files' headers. Damaged and hostile files are refused, and nothing in a file is executed. Serving these checkpoints is not
  written yet, and no real file of them was at hand: see docs/models.md. Ends with 1 when something is missing.`;

const SHOWN = 10;
const BYTES_PER_GB = 1e9;

/** Runs `talkmesh models check`. @returns the exit code @throws UsageError; MeshError MODEL_INVALID */
export async function models(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { from: { type: 'string' } },
    allowPositionals: true,
  });
  const [action, name, ...rest] = positionals;
  if (action !== 'check' || !isKnown(name) || rest.length > 0 || values.from === undefined)
    throw new UsageError(`use: ${MODELS_HELP.split('\n')[0]}`);
  const report = await checkCheckpoint(name, values.from);
  process.stdout.write(`${reportText(name, report)}\n`);
  return report.problems.length === 0 ? EXIT.ok : EXIT.failure;
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
      : 'Not complete: fetch the files again, or name the folder of the right checkpoint.',
  ].join('\n');
}

function shortened(lines: readonly string[], what: string): string[] {
  if (lines.length === 0) return [];
  const more = lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more`] : [];
  return [`${lines.length} ${what}:`, ...lines.slice(0, SHOWN).map((line) => `  ${line}`), ...more];
}
