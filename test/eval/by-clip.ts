/** The table of all clips: each clip's figures by the independent judge and by the probes, of one model or of one against another. */
import { faceName } from './cast.js';
import { MARKS, type Verdict, verdict } from './comparison.js';
import { escaped } from './page.js';

type Figures = Readonly<Record<string, number | null>>;

/** Of one clip, as `evaluate.by_clip` reports it; null where judge or probe cannot read the face. */
export interface ClipFigures {
  readonly clip: string;
  readonly set: string;
  readonly avatar: string;
  readonly judge: Figures | null;
  readonly probe: Figures | null;
}

interface Cell {
  readonly text: string;
  readonly verdict: Verdict | undefined;
}

export interface ClipRow {
  readonly clip: string;
  readonly avatar: string;
  readonly cells: readonly Cell[];
}

const COLUMNS = [
  { reader: 'judge', name: 'opening', digits: 2 },
  { reader: 'judge', name: 'lips, ms', digits: 0 },
  { reader: 'judge', name: 'm b p closed, %', digits: 0 },
  { reader: 'judge', name: 'silence closed, %', digits: 0 },
  { reader: 'probe', name: 'opening', digits: 2 },
  { reader: 'probe', name: 'm b p closed, %', digits: 0 },
  { reader: 'probe', name: 'silence closed, %', digits: 0 },
] as const;

/** One row a clip. @param before the figures of the model that `now` is compared with, if any */
export function clipRows(before: readonly ClipFigures[] | undefined, now: readonly ClipFigures[]): ClipRow[] {
  return now.map((clip) => {
    const old = before?.find((other) => other.clip === clip.clip);
    const cells = COLUMNS.map(({ reader, name, digits }) => {
      const values = [...(old === undefined ? [] : [old]), clip].map((one) => one[reader]?.[name] ?? null);
      if (values.every((value) => value === null)) return { text: '', verdict: undefined };
      const seen = old === undefined ? undefined : verdict(name, old[reader] ?? {}, clip[reader] ?? {});
      return { text: values.map((value) => shown(value, digits)).join(' → '), verdict: seen };
    });
    return { clip: clip.clip, avatar: faceName(clip.avatar), cells };
  });
}

/** For each column how many clips got worse and better, of those with a value. */
export function tally(rows: readonly ClipRow[]): readonly { worse: number; better: number; of: number }[] {
  return COLUMNS.map((_, column) => {
    const verdicts = rows.flatMap(({ cells }) => cells[column]?.verdict ?? []);
    const count = (wanted: Verdict): number => verdicts.filter((one) => one === wanted).length;
    return { worse: count('worse'), better: count('better'), of: verdicts.length };
  });
}

const headings = COLUMNS.map(({ reader, name }) => `${reader}: ${name}`);
const sums = (rows: readonly ClipRow[]): string[] =>
  tally(rows).map(({ worse, better, of }) => (of === 0 ? '' : `${worse} ▼ ${better} ▲ of ${of}`));

export function clipTableHtml(rows: readonly ClipRow[]): string {
  const readers = ['judge', 'probe'].map(
    (name) => `<th colspan=${COLUMNS.filter(({ reader }) => reader === name).length}>by the ${name}</th>`,
  );
  const head = ['clip', 'face', ...COLUMNS.map(({ name }) => name)].map((name) => `<th>${escaped(name)}</th>`).join('');
  const body = rows.map(({ clip, avatar, cells }) => {
    const values = cells.map((cell) => cellHtml(cell)).join('');
    return `<tr><td><a href="#${encodeURIComponent(clip)}">${escaped(clip)}</a></td><td>${escaped(avatar)}</td>${values}</tr>`;
  });
  const foot = sums(rows);
  const last = foot.some(Boolean)
    ? `<tr><th>all</th><th></th>${foot.map((text) => `<th class=n>${text}</th>`).join('')}</tr>`
    : '';
  return `<div class=scroll><table class=clips><tr><th></th><th></th>${readers.join('')}</tr><tr>${head}</tr>${body.join('')}${last}</table></div>`;
}

/** The figures of one clip as a line of text under its video. */
export const clipLine = ({ cells }: ClipRow): string =>
  cells
    .flatMap((cell, i) =>
      cell.text === ''
        ? []
        : `${escaped(headings[i] ?? '')} <span class="${cell.verdict ?? ''}">${marked(cell)}</span>`,
    )
    .join('; ');

export function clipTableMarkdown(rows: readonly ClipRow[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const foot = sums(rows);
  return [
    line(['clip', 'face', ...headings]),
    line(headings.concat('', '').map(() => '---')),
    ...rows.map(({ clip, avatar, cells }) => line([clip, avatar, ...cells.map(marked)])),
    ...(foot.some(Boolean) ? [line(['all', '', ...foot])] : []),
  ].join('\n');
}

const marked = ({ text, verdict: seen }: Cell): string => `${text}${MARKS[seen ?? 'same']}`;
const cellHtml = (cell: Cell): string => `<td class="n ${cell.verdict ?? ''}">${marked(cell)}</td>`;

/** `.87`, `-3`, `100`; nothing was read: a dash. */
export function shown(value: number | null, digits: number): string {
  if (value === null) return '–';
  const text = value.toFixed(digits).replace(/^(-?)0\./, '$1.');
  return Number(text) === 0 ? '0' : text;
}
