import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import type { ReceivedSpan } from '../../support/otlp-receiver.js';
import { heading, page } from './draw.js';

const COLOURS = ['#8ab8ff', '#73bf69', '#f2cc0c', '#ff780a', '#f2495c', '#b877d9'];
const [WIDTH, LABELS, ROW, TOP] = [1000, 230, 17, 58];

/** A trace as bars over time, one row a span, children below their parents. @returns a page with the picture in an element `svg` */
export function drawWaterfall(spans: readonly ReceivedSpan[], title: string): string {
  const rows = inOrder(spans);
  const [from, to] = [Math.min(...spans.map(({ startMs }) => startMs)), Math.max(...spans.map(({ endMs }) => endMs))];
  const x = (ms: number): number => LABELS + ((ms - from) / (to - from)) * (WIDTH - LABELS - 60);
  const ticks = Array.from({ length: 6 }, (_, i) => from + ((to - from) * i) / 5).map((ms) => {
    const text = `${((ms - from) / 1000).toFixed(1)} s`;
    return `<path d="M${x(ms)} ${TOP - 6}V${TOP + rows.length * ROW}" stroke="#2c2f36"/><text x="${x(ms)}" y="${TOP - 10}" text-anchor="middle" class="dim">${text}</text>`;
  });
  const bars = rows.map(({ span, depth }, i) => {
    const colour = COLOURS[SERVICES.indexOf(span.service as ServiceName)] ?? '#ccccdc';
    const [left, top] = [x(span.startMs), TOP + i * ROW];
    const width = Math.max(1.5, x(span.endMs) - left);
    const chunk = span.attributes['talkmesh.chunk'];
    const name = `${span.name}${chunk === undefined ? '' : ` ${chunk}`}`;
    const marks = span.events.map(({ atMs }) => `<circle cx="${x(atMs)}" cy="${top + 6}" r="3" fill="#fff"/>`);
    return [
      `<text x="${10 + depth * 9}" y="${top + 10}">${name}</text>`,
      `<text x="${LABELS - 12}" y="${top + 10}" text-anchor="end" class="dim">${span.service}</text>`,
      `<rect x="${left.toFixed(1)}" y="${top + 1}" width="${width.toFixed(1)}" height="${ROW - 6}" rx="1.5" fill="${colour}"/>`,
      `<text x="${(left + width + 4).toFixed(1)}" y="${top + 10}" class="dim">${(span.endMs - span.startMs).toFixed(0)} ms</text>`,
      ...marks,
    ].join('');
  });
  return page(WIDTH, TOP + rows.length * ROW + 8, [heading(title), ...ticks, ...bars].join(''));
}

interface Row {
  readonly span: ReceivedSpan;
  readonly depth: number;
}

/** Depth first, by start. A span whose parent is not among them is a root. */
function inOrder(spans: readonly ReceivedSpan[]): Row[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const sorted = [...spans].sort((a, b) => a.startMs - b.startMs);
  const below = (parent: string, depth: number): Row[] =>
    sorted
      .filter(({ parentSpanId }) => parentSpanId === parent)
      .flatMap((span) => [{ span, depth }, ...below(span.spanId, depth + 1)]);
  return sorted
    .filter(({ parentSpanId }) => !ids.has(parentSpanId))
    .flatMap((span) => [{ span, depth: 0 }, ...below(span.spanId, 1)]);
}
