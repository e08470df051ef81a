import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClipFigures, type ClipRow, clipLine, clipRows, clipTableHtml } from './by-clip.js';
import { faceName } from './cast.js';
import { MARKS, type Verdict, verdict } from './comparison.js';
import { COLOURS, escaped, page, plotTracks } from './page.js';
import type { Video } from './side-by-side.js';

type Value = number | string | readonly number[] | null;
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
  readonly 'judged rendered'?: Section;
  readonly 'judged photographed'?: Section;
  /** How the judge's readings of lips and lids follow the true motion, by face. */
  readonly calibration: Section;
  readonly 'held-out'?: Section;
  readonly flite?: Section;
  readonly 'by clip': readonly ClipFigures[];
  /** Folder of its frames and contact sheets. */
  readonly folder: string;
}

export interface TableRow {
  readonly name: string;
  /** One per model. */
  readonly cells: readonly string[];
  /** Of the last model against the one before it. */
  readonly verdict: Verdict | undefined;
}

const TITLES = {
  'judged held-out': 'Independent judge: drawn faces, held-out voices and words',
  'judged flite': 'Independent judge: drawn faces, another synthesiser (Flite)',
  'judged rendered': 'Independent judge: rendered people, held-out voices and words',
  'judged photographed': 'Independent judge: photographed faces, held-out voices and words',
  calibration: 'What the judge sees: correlation of its readings of lips and lids with frames of the true motion',
  'held-out': 'Probes: held-out voices, words and avatars',
  flite: 'Probes: speech by another synthesiser (Flite)',
} as const;

/** The tables of a report: a title and rows with one cell per model. */
export function tables(evaluations: readonly Evaluation[]): { title: string; rows: TableRow[] }[] {
  const plain = (name: string, values: readonly number[]): TableRow => ({
    ...{ name, cells: values.map(String), verdict: undefined },
  });
  const model = {
    title: 'Model',
    rows: [
      plain(
        'chunk, latent frames',
        evaluations.map(({ chunk }) => chunk.latentFrames),
      ),
      plain(
        'steps',
        evaluations.map(({ chunk }) => chunk.steps),
      ),
      ...rowsOf(evaluations.map(({ cost }) => cost)),
    ],
  };
  const rest = (Object.keys(TITLES) as (keyof typeof TITLES)[])
    .filter((name) => evaluations.some((evaluation) => evaluation[name] !== undefined))
    .map((name) => ({ title: TITLES[name], rows: rowsOf(evaluations.map((evaluation) => evaluation[name] ?? {})) }));
  return [model, ...rest];
}

function rowsOf(sections: readonly Section[]): TableRow[] {
  const rows: TableRow[] = [];
  for (const name of new Set(sections.flatMap((section) => Object.keys(section)))) {
    const values = sections.map((section) => section[name]);
    if (name === 'tracks') continue;
    if (name === 'distance')
      rows.push(
        ...rowsOf(values.map((value) => (value ?? {}) as Section)).map((row) => ({
          ...row,
          name: `distance of 12-frame windows, ${row.name}`,
        })),
      );
    else
      rows.push({
        name,
        cells: values.map((value) => cell(value as Value | undefined)),
        verdict: sections.length < 2 ? undefined : verdict(name, sections.at(-2) ?? {}, sections.at(-1) ?? {}),
      });
  }
  return rows;
}

function cell(value: Value | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (typeof value !== 'number') return value.map(cell).join(' → ');
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** The figures of the last model that are worse or better than those of the one before, as `figure: before → now`, by table. */
export function changes(evaluations: readonly Evaluation[], wanted: Verdict): { title: string; figures: string[] }[] {
  return tables(evaluations)
    .map(({ title, rows }) => ({
      title,
      figures: rows
        .filter((row) => row.verdict === wanted)
        .map(({ name, cells }) => `${name}: ${cells.slice(-2).join(' → ')}`),
    }))
    .filter(({ figures }) => figures.length > 0);
}

/** The rows of the table of all clips: of the last model against the one before it. */
export const rowsByClip = (evaluations: readonly Evaluation[]): ClipRow[] =>
  clipRows(evaluations.at(-2)?.['by clip'], evaluations.at(-1)?.['by clip'] ?? []);

/** An HTML page with tables, tracks, contact sheets and the videos beside it in `clips/`. All but the videos is embedded. */
export async function formatReport(evaluations: readonly Evaluation[], videos: readonly Video[]): Promise<string> {
  const names = evaluations.map(({ model, chunk }) => `${model}, ${chunk.latentFrames}x${chunk.steps}`);
  const rows = rowsByClip(evaluations);
  const parts = [
    evaluations.length > 1 ? formatChanges(evaluations, names) : '',
    `<h2>All clips</h2><p>Of each clip the correlation of the mouth’s opening with the true track, by how much the lips trail, and the closed share of m, b, p and of silent
frames. The judge leaves out faces that it does not see; probes exist for drawn faces only.</p>${clipTableHtml(rows)}`,
    formatVideos(evaluations, names, videos, rows),
    ...tables(evaluations).map((table) => formatTable(table, names)),
  ];
  for (const [index, evaluation] of evaluations.entries()) {
    if (evaluation['held-out'] === undefined && evaluation.flite === undefined) continue;
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
  }
  return page(
    'Evaluation',
    `<p>Everything is read from decoded pixels. The independent judge is MediaPipe’s face mesh: it was not trained on these pictures, and no code of the decoders takes part. It is
calibrated on frames of the true motion; faces that it cannot follow there are left out. The probes learned from drawn frames only. Rows “of frames with the true motion” and “of
drawn frames” are the limits of judge and probe.</p>
${parts.join('\n')}`,
  );
}

function formatChanges(evaluations: readonly Evaluation[], names: readonly string[]): string {
  const list = (kind: 'worse' | 'better'): string => {
    const all = changes(evaluations, kind);
    const count = all.reduce((sum, { figures }) => sum + figures.length, 0);
    const items = all.map(({ title, figures }) => `<li><b>${escaped(title)}</b>. ${escaped(figures.join('; '))}</li>`);
    return `<h3 class=${kind}>${count} figures got ${kind}${MARKS[kind]}</h3><ul>${items.join('')}</ul>`;
  };
  const [before, now] = names.slice(-2).map((name) => escaped(name));
  return `<h2>What got worse, what got better</h2><p>${now} against ${before}, by more than half of the last digit of the tables, or a tenth of a frame. Of few clips, most small changes are chance.</p>
${list('worse')}${list('better')}`;
}

function formatTable({ title, rows }: { title: string; rows: readonly TableRow[] }, names: readonly string[]): string {
  const head = `<tr><th></th>${names.map((name) => `<th>${escaped(name)}</th>`).join('')}</tr>`;
  const body = rows.map(({ name, cells, verdict: seen }) => {
    const limit = /; (of frames with the true motion|by the probe)$/.exec(name);
    const values = cells.map((text, i) =>
      seen === undefined || i < cells.length - 1
        ? `<td class=n>${escaped(text)}</td>`
        : `<td class="n ${seen}">${escaped(text)}${MARKS[seen]}</td>`,
    );
    return limit === null
      ? `<tr><td>${escaped(name)}</td>${values.join('')}</tr>`
      : `<tr class=limit><td>${escaped(limit[1] as string)}</td>${values.join('')}</tr>`;
  });
  return `<h2>${escaped(title)}</h2><div class=scroll><table>${head}${body.join('')}</table></div>`;
}

/** Each clip: the true motion and the models beside each other, its figures, and what the judge reads of the mouth. */
function formatVideos(
  evaluations: readonly Evaluation[],
  names: readonly string[],
  videos: readonly Video[],
  rows: readonly ClipRow[],
): string {
  const legend = ['the true motion', ...names].map(
    (name, i) => `<span style="color:${COLOURS[i % COLOURS.length]}">${escaped(name)}</span>`,
  );
  const figures = videos.map(({ clip, file }) => {
    const tracks = evaluations.map(
      (evaluation) => (evaluation[`judged ${clip.set}` as keyof Evaluation] as Section | undefined)?.['tracks'],
    ) as (readonly Track[] | undefined)[];
    const own = tracks.map((all) => all?.find((track) => track.clip === clip.id));
    const truth = own.find((track) => track !== undefined)?.true;
    const seen =
      truth === undefined
        ? '<p>The judge does not see this face.</p>'
        : plotTracks(
            truth,
            own.map((track) => track?.read ?? []),
          );
    const row = rows.find((one) => one.clip === clip.id);
    return `<figure id="${encodeURIComponent(clip.id)}"><video controls loop playsinline preload="metadata" width="${256 * (names.length + 1)}" height="256" src="clips/${encodeURIComponent(file)}"></video>
<figcaption><b>${escaped(clip.id)}, ${escaped(faceName(clip.avatar))}</b>: ${row === undefined ? '' : clipLine(row)}</figcaption>${seen}</figure>`;
  });
  return `<h2>Clips side by side</h2><p>From left to right, and in the curves of the mouth’s opening as the judge reads it: ${legend.join(', ')}. A video plays all of them at once, with the
sound that they speak.</p>${figures.join('\n')}`;
}
