import { MARKS } from './comparison.js';
import { type Evaluation, tables } from './report.js';

/** The report's tables as plain text. */
export function formatText(evaluations: readonly Evaluation[]): string {
  const all = tables(evaluations);
  const width = Math.max(...all.flatMap(({ rows }) => rows.map(({ name }) => name.length)));
  const blocks = all.map(({ title, rows }) =>
    [
      title,
      ...rows.map(
        ({ name, cells, verdict }) =>
          `  ${name.padEnd(width)}  ${cells.map((text) => text.padStart(16)).join('  ')}${MARKS[verdict ?? 'same']}`,
      ),
    ].join('\n'),
  );
  return `${blocks.join('\n\n')}\n`;
}
