import { type Http, pause, TalkMeshError } from './http.js';
import type { CallEvent } from './types.js';

/** Splits the text of a server-sent event stream (WHATWG HTML, 9.2.6) into the `data` of its events. A part may end anywhere. */
export class EventStreamParser {
  #incompleteLine = '';
  #data: string[] = [];

  push(text: string): string[] {
    const lines = (this.#incompleteLine + text).split(/\r\n|\n|\r(?!$)/);
    this.#incompleteLine = lines.pop() ?? '';
    const events: string[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) events.push(this.#data.join('\n'));
        this.#data = [];
      } else if (line.startsWith('data:')) this.#data.push(line.slice(line[5] === ' ' ? 6 : 5));
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
  /** Called once when the server refuses the feed for good, for example because the session has ended. */
  readonly onError: (error: TalkMeshError) => void;
  readonly retryMs?: number;
  /** A stream without any byte for this long is broken: the server sends a heartbeat every second. */
  readonly silenceMs?: number;
}

/** Longest pause between two attempts: after a network failure the call shows the truth again within two seconds. */
const MAX_PAUSE_MS = 1000;

/** Reasons after which another attempt cannot succeed. */
const FINAL_REASONS = new Set(['SESSION_NOT_FOUND', 'SESSION_ENDED', 'TOKEN_WRONG_SESSION', 'TOKEN_INVALID']);

/** Reads one stream to its end. @throws what `Http.send` throws, also when the stream is silent for too long */
async function readOnce(
  { http, path, bearer, signal, silenceMs = 3000 }: EventFeedOptions,
  lastEventId: string | undefined,
  onEvent: (event: CallEvent) => void,
): Promise<void> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), silenceMs);
  try {
    const response = await http.send('GET', path, {
      bearer: bearer(),
      signal: AbortSignal.any([signal, silent.signal]),
      timeoutMs: 0,
      ...(lastEventId !== undefined && { headers: { 'last-event-id': lastEventId } }),
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) return;
    const parser = new EventStreamParser();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), silenceMs);
      for (const data of parser.push(value)) onEvent(JSON.parse(data) as CallEvent);
    }
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads the events of a session until it ends. A broken or silent connection is opened again, and continues after the last event that
 * was received.
 */
export async function followEvents(options: EventFeedOptions): Promise<void> {
  const firstPauseMs = options.retryMs ?? 250;
  let pauseMs = firstPauseMs;
  let lastEventId: string | undefined;
  const onEvent = (event: CallEvent): void => {
    lastEventId = event.id;
    pauseMs = firstPauseMs;
    options.onEvent(event);
  };
  while (!options.signal.aborted) {
    let retryAfterMs = 0;
    try {
      await readOnce(options, lastEventId, onEvent);
    } catch (thrown) {
      if (options.signal.aborted) return;
      const error = TalkMeshError.from(thrown);
      if (FINAL_REASONS.has(error.reason)) return options.onError(error);
      retryAfterMs = error.retryAfterMs ?? 0;
    }
    await pause(Math.max(pauseMs, retryAfterMs), options.signal).catch(() => undefined);
    pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
  }
}
