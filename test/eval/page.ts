/** Pieces of the evaluation's HTML pages. */

export const escaped = (text: string): string =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

/** The true track first, then the models in their order. */
export const COLOURS = ['#767676', '#c0392b', '#1f6fb2', '#2e8b57', '#8e44ad'] as const;

const STYLE = `body{font:15px/1.45 system-ui,sans-serif;max-width:1320px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse}td,th{padding:.15em .8em;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.scroll{overflow-x:auto}
.limit td{color:#666;border:0;font-size:.9em}.limit td:first-child{padding-left:2.5em}
.clips td,.clips th{padding:.15em .5em}.worse{color:#a3221a;font-weight:600}.better{color:#1b6e3c}figure{margin:1.6em 0}figcaption{margin:.3em 0}
video,img,svg{display:block;max-width:100%;height:auto}video{background:#000}svg{background:#fafafa;margin:.3em 0}`;

export const page = (title: string, body: string): string => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>talkmesh: ${escaped(title)}</title><style>${STYLE}</style><h1>${escaped(title)}</h1>
${body}</html>\n`;

export interface Series {
  /** In equal steps; a gap where a value is null. */
  readonly values: readonly (number | null)[];
  readonly colour: string;
}

/** SVG polylines of the series over the whole width. */
export function polylines(
  series: readonly Series[],
  { low, high, width, height }: { low: number; high: number; width: number; height: number },
): string {
  return series
    .map(({ values, colour }) => {
      const points = values.flatMap((value, i) => {
        if (value === null) return [];
        const x = (i / Math.max(1, values.length - 1)) * width;
        const y = height - ((Math.min(high, Math.max(low, value)) - low) / (high - low)) * height;
        return `${x.toFixed(1)},${y.toFixed(1)}`;
      });
      return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(' ')}"/>`;
    })
    .join('');
}

/** Tracks of a mouth's opening, 0 to 1: the true one and those that were read. */
export function plotTracks(truth: readonly number[], read: readonly (readonly number[])[]): string {
  const series = [truth, ...read].map((values, i) => ({ values, colour: COLOURS[i % COLOURS.length] as string }));
  return `<svg viewBox="0 0 1200 120" width="1200" height="120" role="img" aria-label="mouth opening">${polylines(series, { low: -0.1, high: 1.1, width: 1200, height: 120 })}</svg>`;
}
