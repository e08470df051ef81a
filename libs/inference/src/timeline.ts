import { closeSync, linkSync, openSync, unlinkSync, writeFileSync, writeSync } from 'node:fs';

/** Details of a span; a trace viewer shows them when the span is selected. */
export type SpanArgs = Readonly<Record<string, string | number | boolean>>;

/** Receives the start and end of each operation for a trace. */
export interface Timeline {
  /** Whether spans are recorded. Check it before building spans that are expensive to build. */
  readonly enabled: boolean;
  /**
   * Records an operation that took time.
   * @param lane the row it is drawn in: one per rank and stage @param startUs, endUs microseconds, as `nowUs` returns them
   */
  span(lane: string, name: string, startUs: number, endUs: number, args?: SpanArgs): void;
  /** Records a moment. */
  mark(lane: string, name: string, atUs: number, args?: SpanArgs): void;
}

/** Records nothing. */
export const NO_TIMELINE: Timeline = { enabled: false, span: () => undefined, mark: () => undefined };

const FLUSH_AFTER_MS = 200;
const FLUSH_AT_CHARACTERS = 1 << 16;

/** Microseconds on the machine's monotonic clock: the same in every thread and every process of one machine. */
export function nowUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e6 + nanoseconds / 1e3;
}

/** Opens the timeline of a service. It writes to `path`, or records nothing when that is empty. */
export function openTimeline(path: string, processName: string): Timeline & Disposable {
  return path === '' ? { ...NO_TIMELINE, [Symbol.dispose]: () => undefined } : new TraceFile(path, processName);
}

/**
 * A trace in the array form of the Chrome trace event format, for chrome://tracing and ui.perfetto.dev. Every event is a
 * line; the format allows the closing bracket to be missing, so the file of a killed process loads, and several processes
 * may write into one file. Up to 200 ms of events are lost with a killed process. A kill within the microseconds of a write can
 * leave one cut line, which has to be deleted by hand.
 */
class TraceFile implements Timeline, Disposable {
  readonly enabled = true;
  readonly #file: number;
  readonly #lanes = new Map<string, number>();
  #lines = '';
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(path: string, processName: string) {
    this.#file = openForAppending(path);
    this.#meta('process_name', 0, processName);
    process.once('exit', this.#flush);
  }

  span(lane: string, name: string, startUs: number, endUs: number, args?: SpanArgs): void {
    this.#add({ ph: 'X', name, tid: this.#lane(lane), ts: startUs, dur: Math.max(0, endUs - startUs), args });
  }

  mark(lane: string, name: string, atUs: number, args?: SpanArgs): void {
    this.#add({ ph: 'i', s: 't', name, tid: this.#lane(lane), ts: atUs, args });
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    process.removeListener('exit', this.#flush);
    closeSync(this.#file);
  }

  #lane(name: string): number {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = this.#lanes.size + 1;
    this.#lanes.set(name, lane);
    this.#meta('thread_name', lane, name);
    return lane;
  }

  #meta(name: string, tid: number, value: string): void {
    this.#add({ ph: 'M', name, tid, args: { name: value } });
  }

  #add(event: Readonly<Record<string, unknown>>): void {
    if (this.#closed) return;
    this.#lines += `${JSON.stringify({ pid: process.pid, ...event })},\n`;
    if (this.#lines.length > FLUSH_AT_CHARACTERS) this.#flush();
    else this.#timer ??= setTimeout(this.#flush, FLUSH_AFTER_MS).unref();
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed || this.#lines === '') return;
    const lines = this.#lines;
    this.#lines = '';
    writeSync(this.#file, lines);
  };
}

/** Creates the file with its opening bracket in one step, so that no other process can append before the bracket. */
function openForAppending(path: string): number {
  const whole = `${path}.${process.pid}.new`;
  writeFileSync(whole, '[\n');
  try {
    linkSync(whole, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(whole);
  }
  return openSync(path, 'a');
}
