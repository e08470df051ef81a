/** Draws dashboards from the answers of a real Prometheus: grid, units, limits and legends as Grafana places them, in plain SVG. */
import { type Board, type BoardPanel, fillIn, type Target } from '../queries.js';
import { type Prometheus, type Result, SCRAPE_SECONDS, type Span } from './prometheus.js';

interface Series {
  readonly name: string;
  readonly labels: Result['metric'];
  readonly values: Result['values'];
}

/** Shortest range over which a rate has at least two samples, with some to spare. */
const RATE_SECONDS = 5 * SCRAPE_SECONDS;
const [WIDTH, ROW_HEIGHT, TITLE] = [1200, 30, 22];
const COLOURS = ['#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#5794f2', '#b877d9', '#c4a3ff'];
const NAMED: Readonly<Record<string, string>> = {
  green: '#73bf69',
  orange: '#ff9830',
  red: '#f2495c',
  blue: '#5794f2',
};
const MOST_LEGENDS = 8;

const escaped = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const short = (value: number): string => String(Number(value.toPrecision(3)));

/** A value as Grafana writes it in this unit. */
export function written(value: number, unit = 'short'): string {
  if (!Number.isFinite(value)) return '–';
  if (unit === 'percentunit') return `${short(value * 100)} %`;
  if (unit === 's') return Math.abs(value) >= 1 || value === 0 ? `${short(value)} s` : `${short(value * 1000)} ms`;
  if (unit !== 'bytes' && unit !== 'Bps') return short(value);
  const power = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, Math.abs(value))) / 10)));
  return `${short(value / 1024 ** power)} ${['', 'Ki', 'Mi', 'Gi', 'Ti'][power]}B${unit === 'Bps' ? '/s' : ''}`;
}

const legendOf = ({ legendFormat }: Target, labels: Result['metric']): string =>
  (legendFormat ?? '').replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label: string) => labels[label] ?? '');

/** What a panel's query answers: one value at the end of the span, or a curve over it. @throws Error for an invalid query */
export async function answer(prometheus: Prometheus, target: Target, span: Span): Promise<Result[]> {
  const expr = fillIn(target.expr, `${RATE_SECONDS}s`, `${Math.round(span.toSeconds - span.fromSeconds)}s`);
  if (target.instant) return prometheus.query(expr, span.toSeconds);
  return prometheus.queryRange(expr, span.fromSeconds, span.toSeconds, SCRAPE_SECONDS);
}

/** @returns a page with the picture in an element `svg` */
export async function drawBoard(prometheus: Prometheus, board: Board, span: Span): Promise<string> {
  const drawn = await Promise.all(board.panels.map((panel) => drawPanel(prometheus, panel, span)));
  const height = Math.max(...board.panels.map(({ gridPos: { y, h } }) => y + h)) * ROW_HEIGHT + 40;
  const seconds = Math.round(span.toSeconds - span.fromSeconds);
  return page(WIDTH, height, `${heading(`${board.title}: ${seconds} s`)}${drawn.join('')}`);
}

export const heading = (text: string): string => `<text x="10" y="25" class="h">${escaped(text)}</text>`;

export const page = (width: number, height: number, content: string): string => `<!doctype html><meta charset="utf-8">
<style>body{margin:0;background:#111217}text{font:11px sans-serif;fill:#ccccdc}.h{font-size:16px}.t{font-weight:600}.big{font-size:34px}.dim{fill:#8e8e99}</style>
<svg width="${width}" height="${height}" style="display:block;background:#111217">${content}</svg>`;

async function drawPanel(prometheus: Prometheus, panel: BoardPanel, span: Span): Promise<string> {
  const { type, title = '', gridPos, targets = [] } = panel;
  const at = { x: (gridPos.x / 24) * WIDTH + 3, y: gridPos.y * ROW_HEIGHT + 40 };
  const size = { width: (gridPos.w / 24) * WIDTH - 6, height: gridPos.h * ROW_HEIGHT - 6 };
  if (type === 'row') return `<text x="${at.x + 4}" y="${at.y + 18}" class="t">${escaped(title)}</text>`;
  const series = (
    await Promise.all(
      targets.map(async (target) =>
        (
          await answer(prometheus, target, span)
        ).map(({ metric, values }): Series => ({ name: legendOf(target, metric), labels: metric, values })),
      ),
    )
  ).flat();
  const unit = panel.fieldConfig?.defaults.unit;
  const kinds = { stat: drawStat, heatmap: drawHeatmap, timeseries: drawCurves } as const;
  const inside = series.length === 0 ? empty(size) : kinds[type as keyof typeof kinds](panel, series, size, span, unit);
  const frame = `<rect width="${size.width}" height="${size.height}" rx="3" fill="#181b1f" stroke="#2c2f36"/>`;
  return `<g transform="translate(${at.x},${at.y})">${frame}<text x="8" y="15" class="t">${escaped(title)}</text>${inside}</g>`;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

const empty = ({ width, height }: Size): string =>
  `<text x="${width / 2}" y="${height / 2}" text-anchor="middle" class="dim">No data</text>`;

function colourOf({ fieldConfig }: BoardPanel, value: number): string {
  const steps = fieldConfig?.defaults.thresholds?.steps ?? [];
  const step = steps.findLast((candidate) => candidate.value === null || value >= candidate.value);
  return NAMED[step?.color ?? ''] ?? '#ccccdc';
}

function drawStat(
  panel: BoardPanel,
  series: readonly Series[],
  { width, height }: Size,
  _: Span,
  unit?: string,
): string {
  const value = series[0]?.values.at(-1)?.[1] ?? Number.NaN;
  return `<text x="${width / 2}" y="${height / 2 + 18}" text-anchor="middle" class="big" style="fill:${colourOf(panel, value)}">${written(value, unit)}</text>`;
}

function drawCurves(panel: BoardPanel, series: readonly Series[], size: Size, span: Span, unit?: string): string {
  const legendRows = Math.ceil(Math.min(series.length, MOST_LEGENDS) / 2);
  const plot = { x: 62, y: TITLE + 6, width: size.width - 72, height: size.height - TITLE - 26 - legendRows * 14 };
  const values = series.flatMap((one) => one.values.map(([, value]) => value)).filter(Number.isFinite);
  const top = Math.max(...values, 0) * 1.05 || 1;
  const x = (at: number): number =>
    plot.x + ((at - span.fromSeconds) / (span.toSeconds - span.fromSeconds)) * plot.width;
  const y = (value: number): number => plot.y + plot.height * (1 - value / top);
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(top * share);
    return `<path d="M${plot.x} ${at}h${plot.width}" stroke="#2c2f36"/><text x="${plot.x - 5}" y="${at + 4}" text-anchor="end" class="dim">${written(top * share, unit)}</text>`;
  });
  const limits = (panel.fieldConfig?.defaults.thresholds?.steps ?? []).flatMap(({ value, color }) =>
    value === null || value > top
      ? []
      : [`<path d="M${plot.x} ${y(value)}h${plot.width}" stroke="${NAMED[color]}" stroke-dasharray="6 4"/>`],
  );
  const lines = series.map(({ values: points }, i) => {
    const path = points
      .filter(([, value]) => Number.isFinite(value))
      .map(([at, value], k, all) => {
        // A process that was gone for a while leaves a gap, as in Grafana.
        const begins = at - (all[k - 1]?.[0] ?? Number.NEGATIVE_INFINITY) > 1.5 * SCRAPE_SECONDS;
        return `${begins ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      });
    return `<path d="${path.join('')}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.5"/>`;
  });
  const legends = series.slice(0, MOST_LEGENDS).map(({ name }, i) => {
    const [left, bottom] = [8 + (i % 2) * (size.width / 2), size.height - legendRows * 14 + Math.floor(i / 2) * 14];
    const text = escaped(name.slice(0, Math.floor(size.width / 14)));
    return `<rect x="${left}" y="${bottom - 3}" width="10" height="3" fill="${COLOURS[i % COLOURS.length]}"/><text x="${left + 14}" y="${bottom + 2}">${text}</text>`;
  });
  return [...grid, ...limits, ...lines, ...legends].join('');
}

/** Buckets of a histogram as rows, time as columns; Prometheus' buckets contain those below them. */
function drawHeatmap(_: BoardPanel, series: readonly Series[], size: Size, span: Span, unit?: string): string {
  const bounds = [...series].sort((a, b) => bound(a) - bound(b));
  const plot = { x: 62, y: TITLE + 6, width: size.width - 72, height: size.height - TITLE - 14 };
  const columns = Math.ceil((span.toSeconds - span.fromSeconds) / SCRAPE_SECONDS) + 1;
  const rowHeight = plot.height / bounds.length;
  const own = bounds.map(({ values }, row) => {
    const below = new Map(bounds[row - 1]?.values ?? []);
    return values.map(([at, value]) => [at, Math.max(0, value - (below.get(at) ?? 0))] as const);
  });
  const most = Math.max(...own.flat().map(([, value]) => value), 1e-9);
  const cells = own.flatMap((row, i) =>
    row
      .filter(([, value]) => value > most / 1000)
      .map(([at, value]) => {
        const left = plot.x + (Math.round((at - span.fromSeconds) / SCRAPE_SECONDS) * plot.width) / columns;
        const [top, light] = [plot.y + plot.height - (i + 1) * rowHeight, 20 + (45 * value) / most];
        return `<rect x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${(plot.width / columns + 0.4).toFixed(1)}" height="${(rowHeight - 1).toFixed(1)}" fill="hsl(30,90%,${light.toFixed(0)}%)"/>`;
      }),
  );
  const labels = bounds.map((one, i) => {
    const at = plot.y + plot.height - (i + 0.3) * rowHeight;
    const text = Number.isFinite(bound(one)) ? written(bound(one), unit) : 'more';
    return `<text x="${plot.x - 5}" y="${at.toFixed(1)}" text-anchor="end" class="dim">${text}</text>`;
  });
  return [...cells, ...labels].join('');
}

const bound = ({ labels }: Series): number =>
  labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels['le']);
