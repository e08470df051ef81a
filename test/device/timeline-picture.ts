/** Draws the end of a trace as an SVG picture: a row for each lane. */

interface TraceEvent {
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly name?: string };
}

interface Lane {
  readonly name: string;
  readonly spans: readonly TraceEvent[];
}

const [WIDTH, LABELS, ROW, BAR] = [1200, 260, 26, 18];
const COLOURS = ['#3b6ea8', '#c26d2c', '#4f8a4f', '#8a5a9c', '#a84848', '#5c7f8a'];

/**
 * @param trace as TALKMESH_TIMELINE writes it; the closing bracket may be missing
 * @param lanes which lanes to draw, by their names
 * @param windowMs how much of the end of these lanes to draw
 * @throws Error when the trace has no such lanes
 */
export function timelinePicture(trace: string, lanes: RegExp, windowMs: number): string {
  const events = JSON.parse(`${trace.trimEnd().replace(/[,\]]$/, '')}]`) as TraceEvent[];
  const drawn = lanesOf(events).filter(({ name }) => lanes.test(name));
  const ends = drawn.flatMap(({ spans }) => spans.map(({ ts, dur }) => ts + dur));
  const endUs = ends.reduce((last, end) => Math.max(last, end), Number.NEGATIVE_INFINITY);
  if (!Number.isFinite(endUs))
    throw new Error(`the trace has no lanes like ${lanes.source}; set TALKMESH_TIMELINE for the run`);
  const beginUs = endUs - 1000 * windowMs;
  const scale = (WIDTH - LABELS) / (endUs - beginUs);
  const rows = drawn.map(({ name, spans }, row) => {
    const seen = spans.filter(({ ts, dur }) => ts + dur > beginUs);
    const busyUs = seen.reduce((sum, { ts, dur }) => sum + ts + dur - Math.max(ts, beginUs), 0);
    const bars = seen.map((span) => {
      const fromUs = Math.max(span.ts, beginUs);
      const x = LABELS + (fromUs - beginUs) * scale;
      const width = Math.max(0.5, (span.ts + span.dur - fromUs) * scale);
      const title = `<title>${escaped(span.name)}: ${(span.dur / 1000).toFixed(3)} ms</title>`;
      return `<rect x="${x.toFixed(2)}" y="${row * ROW + 4}" width="${width.toFixed(2)}" height="${BAR}" fill="${colourOf(span.name)}">${title}</rect>`;
    });
    const label = `${escaped(name)} ${Math.round((100 * busyUs) / (endUs - beginUs))} %`;
    return `<text x="4" y="${row * ROW + 18}">${label}</text>\n${bars.join('\n')}`;
  });
  const height = ROW * (drawn.length + 1);
  const note = `<text x="4" y="${height - 8}">the last ${windowMs} ms; percentages: share of them that the lane is busy</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...rows,
    note,
    '</svg>',
    '',
  ].join('\n');
}

/** In the order in which they were named. */
function lanesOf(events: readonly TraceEvent[]): Lane[] {
  const lanes = new Map<string, { readonly name: string; readonly spans: TraceEvent[] }>();
  const keyOf = ({ pid, tid }: TraceEvent): string => `${pid}.${tid}`;
  for (const event of events) {
    if (event.name === 'thread_name') lanes.set(keyOf(event), { name: event.args?.name ?? '', spans: [] });
    else if (event.ph === 'X') lanes.get(keyOf(event))?.spans.push(event);
  }
  return [...lanes.values()];
}

function colourOf(name: string): string {
  const sum = [...name].reduce((total, character) => total + character.charCodeAt(0), 0);
  return COLOURS[sum % COLOURS.length] as string;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
