import { trace } from '@opentelemetry/api';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { LogDestination } from './log-destination.js';
import { setUpSpan } from './telemetry/stage-span.js';

export type { Logger };

export interface LoggerSettings {
  readonly service: string;
  readonly instanceId: string;
  readonly level: string;
  /** Readable lines instead of JSON. Programs that wait for the `ready` line need JSON. */
  readonly pretty: boolean;
}

const STDOUT = 1;
/** Fields that are replaced by "(hidden)", at the top level of a log line and one level below. */
const REDACTED = [
  'token',
  'password',
  'secret',
  'authorization',
  'apiKey',
  '*.token',
  '*.password',
  '*.secret',
  '*.authorization',
  '*.apiKey',
];

/** Logger that writes JSON lines to stdout, with the ids of the active span, else of the span that opened the session. Messages are static text; values go into fields. */
export function createLogger(settings: LoggerSettings, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: { service: settings.service, instanceId: settings.instanceId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '(hidden)' },
    mixin: () => {
      const span = trace.getActiveSpan()?.spanContext() ?? setUpSpan();
      return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
    },
  };
  const stdout = destination ?? new LogDestination(STDOUT);
  return pino(options, settings.pretty ? { write: (line) => stdout.write(prettyLine(line)) } : stdout);
}

function prettyLine(line: string): string {
  const {
    time,
    level,
    service,
    instanceId: _instance,
    msg,
    err,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const stack = (err as { stack?: string } | undefined)?.stack;
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${service}: ${msg}${rest.join('')}${stack === undefined ? '' : `\n${stack}`}\n`;
}
