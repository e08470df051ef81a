import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

type Value = number | readonly number[];
export interface Section {
  readonly [name: string]: Value | Readonly<Record<string, number>> | readonly Track[] | string;
}
export interface Track {
  readonly clip: string;
  readonly true: readonly number[];
  readonly read: readonly number[];
}

/** What `evaluate.decoded_frames` reports of one model. */
export interface Evaluation {
  readonly model: string;
  readonly chunk: { readonly latentFrames: number; readonly steps: number; readonly ms: number };
  readonly cost: Readonly<Record<string, number>>;
  readonly 'held-out': Section;
  readonly flite?: Section;
  readonly hour?: Section;
  /** Folder of its frames and contact sheets. */
  readonly folder: string;
}

export interface TableRow {
  readonly name: string;
  /** One per model. */
  readonly cells: readonly string[];
}

const TITLES = {
  'held-out': 'Held-out voices, words and avatars',
  flite: 'Speech by another synthesiser (Flite)',
  hour: 'One long call',
} as const;

/** The tables of a report: a title and rows with one cell per model. */
export function tables(evaluations: readonly Evaluation[]): { title: string; rows: TableRow[] }[] {
  const study = {
    title: 'Model',
    rows: [
      { name: 'chunk, latent frames', cells: evaluations.map(({ chunk }) => String(chunk.latentFrames)) },
      { name: 'steps', cells: evaluations.map(({ chunk }) => String(chunk.steps)) },
      ...rowsOf(evaluations.map(({ cost }) => cost)),
    ],
  };
  const rest = (Object.keys(TITLES) as (keyof typeof TITLES)[])
    .filter((name) => evaluations.some((evaluation) => evaluation[name] !== undefined))
    .map((name) => ({ title: TITLES[name], rows: rowsOf(evaluations.map((evaluation) => evaluation[name] ?? {})) }));
  return [study, ...rest];
}

function rowsOf(sections: readonly Section[]): TableRow[] {
  const rows: TableRow[] = [];
  for (const name of new Set(sections.flatMap((section) => Object.keys(section)))) {
    const values = sections.map((section) => section[name]);
    if (name === 'tracks' || name === 'identity by minute' || name === 'avatar') continue;
    if (name === 'distance')
      rows.push(
        ...rowsOf(values as Section[]).map((row) => ({ ...row, name: `distance of 12-frame windows, ${row.name}` })),
      );
    else rows.push({ name, cells: values.map((value) => cell(value as Value | undefined)) });
  }
  return rows;
}

function cell(value: Value | undefined): string {
  if (value === undefined) return '';
  if (typeof value !== 'number') return value.map(cell).join(' → ');
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** An HTML page with tables, tracks and contact sheets. Everything is embedded, so the file can be moved alone. */
export async function formatReport(evaluations: readonly Evaluation[]): Promise<string> {
  const names = evaluations.map(({ model, chunk }) => `${model}, ${chunk.latentFrames}x${chunk.steps}`);
  const parts = tables(evaluations).map(
    ({ title, rows }) =>
      `<h2>${escaped(title)}</h2><table><tr><th></th>${names.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr>${rows
        .map(
          ({ name, cells }) =>
            `<tr><td>${escaped(name)}</td>${cells.map((text) => `<td class=n>${text}</td>`).join('')}</tr>`,
        )
        .join('')}</table>`,
  );
  for (const [index, evaluation] of evaluations.entries()) {
    parts.push(`<h2>${escaped(names[index] ?? '')}: frames and tracks</h2>`);
    for (const set of ['held-out', 'flite'] as const) {
      const section = evaluation[set];
      if (section === undefined) continue;
      parts.push(`<h3>${escaped(TITLES[set])}</h3>`);
      for (const track of section['tracks'] as readonly Track[]) parts.push(plotTrack(track));
      const sheet = await readFile(join(evaluation.folder, `${set}.png`));
      parts.push(
        '<p>Drawn with the true motion above, generated from audio below; frames 0.84 s apart. Eyes and pose are the model’s own.</p>',
      );
      parts.push(`<img alt="contact sheet, ${set}" src="data:image/png;base64,${sheet.toString('base64')}">`);
    }
    const byMinute = evaluation.hour?.['identity by minute'];
    if (Array.isArray(byMinute) && byMinute.length > 1) {
      parts.push('<h3>Identity through the call: decoded against drawn in the same pose, dB by minute</h3>');
      parts.push(plot([{ values: byMinute as number[], colour: '#c0392b' }], 20, 40, 900, 160));
    }
  }
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>talkmesh: evaluation</title><style>${STYLE}</style><h1>Evaluation</h1>
<p>Everything is read from decoded pixels by probes that learned from drawn frames only; the rows “of drawn frames” are the probe’s own limit.</p>
${parts.join('\n')}</html>\n`;
}

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.15em .8em;border-bottom:1px solid #ddd;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
img{max-width:100%}svg{display:block;background:#fafafa;margin:.3em 0}`;

function plotTrack({ clip, true: truth, read }: Track): string {
  const series = [
    { values: truth, colour: '#999' },
    { values: read, colour: '#c0392b' },
  ];
  return `<p>${escaped(clip)}: mouth opening, true (grey) and read from pixels (red)</p>${plot(series, -0.1, 1.1, 1200, 120)}`;
}

function plot(
  series: readonly { values: readonly number[]; colour: string }[],
  low: number,
  high: number,
  width: number,
  height: number,
): string {
  const lines = series.map(({ values, colour }) => {
    const points = values.map((value, i) => {
      const x = (i / Math.max(1, values.length - 1)) * width;
      const y = height - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * height;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    });
    return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(' ')}"/>`;
  });
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">${lines.join('')}</svg>`;
}
