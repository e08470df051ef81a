import { type Http, pause, TalkMeshError } from './http.js';
import type { CallEvent } from './types.js';

/** Text of a server-sent event stream (WHATWG HTML, 9.2.6) in, the `data` of each event out. */
export class EventStreamParser {
  private rest = '';
  private data: string[] = [];

  push(text: string): string[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? '';
    const events: string[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this.data.length > 0) events.push(this.data.join('\n'));
        this.data = [];
      } else if (line.startsWith('data:')) this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
    }
    return events;
  }
}

export interface EventFeedOptions {
  readonly http: Http;
  readonly path: string;
  readonly bearer: () => string;
  readonly signal: AbortSignal;
  readonly onEvent: (event: CallEvent) => void;
  /** Called once when no more events will come although the call did not hang up. */
  readonly onError: (error: TalkMeshError) => void;
  readonly retryMs?: number;
}

const GONE = new Set(['SESSION_NOT_FOUND', 'SESSION_ENDED', 'TOKEN_WRONG_SESSION', 'TOKEN_INVALID']);

async function readOnce(o: EventFeedOptions): Promise<void> {
  const response = await o.http.send('GET', o.path, { bearer: o.bearer(), signal: o.signal, timeoutMs: 0 });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (reader === undefined) return;
  const parser = new EventStreamParser();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const data of parser.push(value)) o.onEvent(JSON.parse(data) as CallEvent);
  }
}

/** Reads the events of a session until it ends; a broken connection is taken up again with a growing pause. */
export async function followEvents(o: EventFeedOptions): Promise<void> {
  const firstPauseMs = o.retryMs ?? 500;
  let pauseMs = firstPauseMs;
  while (!o.signal.aborted) {
    const startedAtMs = Date.now();
    try {
      await readOnce(o);
    } catch (thrown) {
      if (o.signal.aborted) return;
      const error = TalkMeshError.from(thrown);
      if (GONE.has(error.reason)) return o.onError(error);
    }
    if (Date.now() - startedAtMs > 10_000) pauseMs = firstPauseMs;
    await pause(pauseMs, o.signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, 8_000);
  }
}
