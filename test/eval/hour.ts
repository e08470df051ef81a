/** Identity through long calls: one with a drawn, one with a rendered, one with a photographed face, and what the judge says of start and end. */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Model } from '@talkmesh/inference';
import { shown } from './by-clip.js';
import { faceName } from './cast.js';
import type { LandmarkWriter } from './landmarks.js';
import { COLOURS, escaped, page, polylines } from './page.js';
import { Rollout } from './rollout.js';

type Ends = readonly [first: number, last: number, spread: number];

/** What `evaluate.hour` reports of one call. */
export interface CallFigures {
  readonly face: string;
  readonly minutes: number;
  readonly 'by window': {
    readonly minute: readonly number[];
    readonly landmarks: readonly number[];
    readonly 'same state': readonly (number | null)[];
  };
  readonly [figure: string]: unknown;
}
/** By kind of face. */
export type Hour = Readonly<Record<string, CallFigures>>;

const LANDMARKS = 'landmarks from the first sixth, px: first sixth, last sixth, spread in the first';
const STATE = 'same state in silence, dB: first sixth, last sixth, spread in the first';
const OTHER = 'landmarks, to the nearest other face, px';

export interface HourStudy {
  readonly model: Model;
  /** Who is seen in each call. */
  readonly faces: readonly { readonly kind: string; readonly avatar: string }[];
  readonly speech: readonly Int16Array[];
  readonly minutes: number;
  /** Folder of the calls' files: about 5 MB a minute and face. */
  readonly out: string;
  readonly landmarks: LandmarkWriter;
  python(module: string, ...args: string[]): Promise<string>;
  log(line: string): void;
}

export async function studyHour({ model, faces, speech, minutes, out, ...study }: HourStudy): Promise<Hour> {
  await using rollout = await Rollout.open(model, out);
  for (const { kind, avatar } of faces) {
    const used = process.cpuUsage();
    study.log(`${model.label}: a call of ${minutes} minutes with ${avatar}`);
    const windows = await rollout.call({ name: kind, avatar }, speech, minutes, 5);
    for (const path of windows) await study.landmarks.write(path);
    const { user, system } = process.cpuUsage(used);
    study.log(`${kind}: ${Math.round((user + system) / 1e6)} s of processor time`);
  }
  return JSON.parse(await study.python('evaluate.hour', '--run', out, ...faces.map(({ kind }) => kind))) as Hour;
}

/** Writes hour.html, hour.json and the plot hour.svg. @returns path of the page */
export async function writeHour(label: string, hour: Hour, out: string): Promise<string> {
  const plot = plotHour(hour);
  await writeFile(join(out, 'hour.svg'), plot);
  await writeFile(join(out, 'hour.json'), `${JSON.stringify(hour, null, 1)}\n`);
  const names = [...new Set(Object.values(hour).flatMap((call) => Object.keys(call)))].filter((n) => n !== 'by window');
  const rows = names.map((name) => {
    const cells = Object.values(hour).map((call) => `<td class=n>${escaped(text(call[name]))}</td>`);
    return `<tr><td>${escaped(name)}</td>${cells.join('')}</tr>`;
  });
  const head = Object.keys(hour).map((kind) => `<th>${escaped(kind)}</th>`);
  const file = join(out, 'hour.html');
  await writeFile(
    file,
    page(
      'Identity through long calls',
      `<p>${escaped(label)}. Landmarks that speech does not move, aligned so that pose does not count, against their mean in the first sixth of the call; and frames in silence
against the frame of the first sixth with the nearest pose and eyes. The first sixth compared with itself is the yardstick.</p>
${plot}<div class=scroll><table><tr><th></th>${head.join('')}</tr>${rows.join('')}</table></div>`,
    ),
  );
  return file;
}

function text(value: unknown): string {
  if (Array.isArray(value)) return value.map(text).join(', ');
  if (typeof value === 'number')
    return String(Number.isInteger(value) ? value : Number(value.toFixed(value < 10 ? 3 : 1)));
  return typeof value === 'string' ? faceName(value) : '';
}

/** The table for documents. */
export function hourTable(hour: Hour): string {
  const calls = Object.entries(hour);
  const ends = (name: string, digits: number): string[] =>
    calls.map(([, call]) => {
      const value = call[name] as Ends | null;
      return value === null
        ? ''
        : `${value
            .slice(0, 2)
            .map((one) => shown(one, digits))
            .join(' → ')} (± ${shown(value[2], digits)})`;
    });
  const single = (name: string, digits: number): string[] =>
    calls.map(([, call]) => shown(call[name] as number | null, digits));
  const rows = [
    ['', ...calls.map(([kind, { face, minutes }]) => `${kind}: ${faceName(face)}, ${minutes} minutes`)],
    calls.map(() => '---').concat('---'),
    ['landmarks: single windows of the first sixth → of the last, px (spread in the first)', ...ends(LANDMARKS, 2)],
    [
      'landmarks: mean of the first sixth to mean of the last, px',
      ...single('landmarks, mean of the first sixth to mean of the last, px', 2),
    ],
    ['landmarks: to the nearest other face, px', ...single(OTHER, 1)],
    ['same state in silence: first sixth → last, dB (spread in the first)', ...ends(STATE, 1)],
    [
      'same motion drawn: first sixth → last, dB (spread in the first)',
      ...ends('against the same motion drawn, dB: first sixth, last sixth, spread in the first', 1),
    ],
    ['frames without a face, %', ...single('frames without a face, %', 1)],
  ];
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

const [WIDTH, HEIGHT, LEFT, GAP] = [900, 150, 60, 46];

/** Two panels over the minutes, a line a face: landmarks and the same state. The band is the first sixth of the first face. */
export function plotHour(hour: Hour): string {
  const calls = Object.entries(hour);
  const minutes = Math.max(...calls.map(([, call]) => call.minutes));
  const panels = [
    {
      title: 'landmarks of the upper face against the first sixth, pixels',
      from: (c: CallFigures) => c['by window'].landmarks,
    },
    {
      title: 'frames in silence against the nearest state of the first sixth, dB',
      from: (c: CallFigures) => c['by window']['same state'],
    },
  ];
  const parts = panels.map(({ title, from }, index) => {
    const series = calls.map(([, call], i) => ({
      values: from(call),
      colour: COLOURS[(i + 1) % COLOURS.length] as string,
    }));
    const all = series.flatMap(({ values }) => values.filter((value) => value !== null));
    const low = index === 0 ? 0 : Math.floor(Math.min(...all));
    const high = index === 0 ? Math.max(1, Math.ceil(Math.max(...all))) : Math.ceil(Math.max(...all));
    const label = (x: number, y: number, words: string, anchor = 'start'): string =>
      `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped(words)}</text>`;
    return `<g transform="translate(${LEFT},${GAP * (index + 1) + HEIGHT * index})">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fafafa" stroke="#ccc"/><rect width="${WIDTH / 6}" height="${HEIGHT}" fill="#eee"/>
${label(0, -8, title)}${label(-6, 12, String(high), 'end')}${label(-6, HEIGHT, String(low), 'end')}
${label(0, HEIGHT + 16, '0')}${label(WIDTH, HEIGHT + 16, `${minutes} min`, 'end')}${polylines(series, { low, high, width: WIDTH, height: HEIGHT })}</g>`;
  });
  const legend = calls.map(([kind, { face }], i) => {
    const colour = COLOURS[(i + 1) % COLOURS.length];
    return `<text x="${LEFT + 260 * i}" y="18" fill="${colour}">${escaped(`${kind}: ${faceName(face)}`)}</text>`;
  });
  const height = GAP * 3 + HEIGHT * 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH + LEFT + 20} ${height}" width="${WIDTH + LEFT + 20}" height="${height}" font-family="sans-serif" font-size="13" role="img" aria-label="identity by minute"><rect width="100%" height="100%" fill="#fff"/>${legend.join('')}${parts.join('')}</svg>\n`;
}

/** Copies the plot into the documents. */
export const keepPlot = (out: string): Promise<void> => copyFile(join(out, 'hour.svg'), 'docs/images/hour.svg');
