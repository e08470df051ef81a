/**
 * Time that the stages of a turn have taken, milliseconds, by service. It travels in a header of the messages. A stage adds its own duration,
 * measured by its own clock, so no clock of one host is compared with that of another.
 */
import { SERVICES, type ServiceName } from './pipeline.js';

export type Ledger = Readonly<Partial<Record<ServiceName, number>>>;

/** Longest text that is read: six names with their numbers are below it. */
const MAX_CHARACTERS = 300;
/** One hour. What is longer is an error of the sender. */
const MAX_MS = 3_600_000;

const isService = (name: string): name is ServiceName => (SERVICES as readonly string[]).includes(name);

/** `audio-ingest=420;audio-llm-bridge=312.4`, in the order of the pipeline; empty for an empty ledger. */
export function encodeLedger(ledger: Ledger): string {
  return SERVICES.flatMap((service) => {
    const ms = ledger[service];
    return ms === undefined ? [] : [`${service}=${Math.round(Math.min(MAX_MS, Math.max(0, ms)) * 10) / 10}`];
  }).join(';');
}

/** Reads what `encodeLedger` wrote. It describes, and nothing depends on it, so what it cannot read is left out. */
export function decodeLedger(text: string): Ledger {
  if (text.length > MAX_CHARACTERS) return {};
  const entries = text.split(';').flatMap((entry) => {
    const [name = '', value = '', ...more] = entry.split('=');
    const isNumber = more.length === 0 && /^\d{1,7}(\.\d)?$/.test(value);
    return isService(name) && isNumber && Number(value) <= MAX_MS ? [[name, Number(value)] as const] : [];
  });
  return Object.fromEntries(entries);
}

/** Milliseconds of all stages together. */
export const ledgerSum = (ledger: Ledger): number => Object.values(ledger).reduce((sum, ms) => sum + ms, 0);
