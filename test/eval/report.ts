import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Video } from './side-by-side.js';

type Value = number | string | readonly number[];
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
  readonly 'judged held-out'?: Section;
  readonly 'judged flite'?: Section;
  readonly 'judged photographed'?: Section;
  /** How the judge's readings of lips and lids follow the true motion, by face. */
  readonly calibration: Section;
  readonly 'held-out': Section;
  readonly flite?: Section;
  readonly hour?: Section;
  readonly 'hour-photographed'?: Section;
  /** Folder of its frames and contact sheets. */
  readonly folder: string;
}

export interface TableRow {
  readonly name: string;
  /** One per model. */
  readonly cells: readonly string[];
}

const TITLES = {
  'judged held-out': 'Independent judge: drawn faces, held-out voices and words',
  'judged flite': 'Independent judge: drawn faces, another synthesiser (Flite)',
  'judged photographed': 'Independent judge: photographed faces, held-out voices and words',
  calibration: 'What the judge sees: correlation of its readings of lips and lids with frames of the true motion',
  'held-out': 'Probes: held-out voices, words and avatars',
  flite: 'Probes: speech by another synthesiser (Flite)',
  hour: 'One long call, a drawn face',
  'hour-photographed': 'One long call, a photographed face',
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
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return value.map(cell).join(' → ');
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** An HTML page with tables, tracks, contact sheets and the videos beside it in `clips/`. All but the videos is embedded. */
export async function formatReport(evaluations: readonly Evaluation[], videos: readonly Video[]): Promise<string> {
  const names = evaluations.map(({ model, chunk }) => `${model}, ${chunk.latentFrames}x${chunk.steps}`);
  const parts = [
    formatVideos(evaluations, names, videos),
    ...tables(evaluations).map((table) => formatTable(table, names)),
  ];
  for (const [index, evaluation] of evaluations.entries()) {
    parts.push(`<h2>${escaped(names[index] ?? '')}: frames and the probes’ tracks</h2>`);
    for (const set of ['held-out', 'flite'] as const) {
      const section = evaluation[set];
      if (section === undefined) continue;
      parts.push(`<h3>${escaped(TITLES[set])}</h3>`);
      for (const { clip, true: truth, read } of section['tracks'] as readonly Track[])
        parts.push(
          `<p>${escaped(clip)}: mouth opening, true (grey) and read by the probe (red)</p>`,
          plotTracks(truth, [read]),
        );
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
<p>Everything is read from decoded pixels. The independent judge is MediaPipe’s face mesh: it was not trained on these pictures, and no code of the decoders takes part. It is
calibrated on frames of the true motion; faces that it cannot follow there are left out. The probes learned from drawn frames only. Rows “of frames with the true motion” and “of
drawn frames” are the limits of judge and probe.</p>
${parts.join('\n')}</html>\n`;
}

function formatTable({ title, rows }: { title: string; rows: readonly TableRow[] }, names: readonly string[]): string {
  const head = `<tr><th></th>${names.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr>`;
  const body = rows.map(({ name, cells }) => {
    const limit = /; (of frames with the true motion|by the probe)$/.exec(name);
    const values = cells.map((text) => `<td class=n>${escaped(text)}</td>`).join('');
    return limit === null
      ? `<tr><td>${escaped(name)}</td>${values}</tr>`
      : `<tr class=limit><td>${escaped(limit[1] as string)}</td>${values}</tr>`;
  });
  return `<h2>${escaped(title)}</h2><table>${head}${body.join('')}</table>`;
}

/** Each clip: the true motion and the models beside each other, and below what the judge reads of the mouth. */
function formatVideos(evaluations: readonly Evaluation[], names: readonly string[], videos: readonly Video[]): string {
  const legend = ['the true motion', ...names].map(
    (name, i) => `<span style="color:${COLOURS[i % COLOURS.length]}">${escaped(name)}</span>`,
  );
  const figures = videos.map(({ clip, file }) => {
    const tracks = evaluations.map(
      (evaluation) => (evaluation[`judged ${clip.set}` as keyof Evaluation] as Section | undefined)?.['tracks'],
    ) as (readonly Track[] | undefined)[];
    const own = tracks.map((all) => all?.find((track) => track.clip === clip.id));
    const truth = own[0]?.true;
    const seen =
      truth === undefined
        ? '<p>The judge does not see this face.</p>'
        : plotTracks(
            truth,
            own.map((track) => track?.read ?? []),
          );
    return `<figure><video controls loop preload="metadata" width="${256 * (names.length + 1)}" height="256" src="clips/${encodeURIComponent(file)}"></video>
<figcaption>${escaped(clip.id)}, ${escaped(clip.avatar)}</figcaption>${seen}</figure>`;
  });
  return `<h2>Clips side by side</h2><p>From left to right, and in the curves of the mouth’s opening as the judge reads it: ${legend.join(', ')}.</p>${figures.join('\n')}`;
}

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse}td,th{padding:.15em .8em;border-bottom:1px solid #ddd;text-align:left}.n{text-align:right;font-variant-numeric:tabular-nums}
.limit td{color:#777;border:0;font-size:.9em}.limit td:first-child{padding-left:2.5em}figure{margin:1.2em 0}video{display:block}
img{max-width:100%}svg{display:block;background:#fafafa;margin:.3em 0}`;

/** The true track first. */
const COLOURS = ['#888', '#c0392b', '#1f6fb2', '#2e8b57', '#8e44ad'] as const;

function plotTracks(truth: readonly number[], read: readonly (readonly number[])[]): string {
  const series = [truth, ...read].map((values, i) => ({ values, colour: COLOURS[i % COLOURS.length] as string }));
  return plot(series, -0.1, 1.1, 1200, 120);
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
