import { Writable } from 'node:stream';
import { trace } from '@opentelemetry/api';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';

export type { Logger };

export interface LoggerSettings {
  readonly service: string;
  readonly instanceId: string;
  readonly level: string;
  /** Lines for people instead of JSON; not for programs that wait for the `ready` line. */
  readonly pretty: boolean;
}

/** Settings and fields that never reach a log, at any depth a service logs them. */
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

/** JSON lines on stdout, with trace and span id of the active span. Static messages, facts in fields. */
export function createLogger(settings: LoggerSettings, destination?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level: settings.level,
    base: { service: settings.service, instanceId: settings.instanceId },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '(hidden)' },
    mixin: () => {
      const span = trace.getActiveSpan()?.spanContext();
      return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
    },
  };
  const target = destination ?? (settings.pretty ? prettyDestination() : undefined);
  return target === undefined ? pino(options) : pino(options, target);
}

function prettyDestination(): DestinationStream {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      process.stdout.write(prettyLine(chunk.toString()), () => done());
    },
  });
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
