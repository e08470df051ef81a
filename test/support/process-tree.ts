import { readFileSync } from 'node:fs';

/** Linux reports processor time in these units to every program. */
const TICK_MS = 10;

export interface ProcessUse {
  readonly cpuMs: number;
  readonly residentBytes: number;
}

const NONE: ProcessUse = { cpuMs: 0, residentBytes: 0 };

/** What a process and its children use: a WebRTC child belongs to its service. A process that has ended counts as nothing. */
export function processUse(pid: number): ProcessUse {
  try {
    const kib = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    // The fields after the name, which may contain spaces: [11] to [14] are the time of the process and of the children it waited for.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ').slice(11, 15) ?? [];
    const own = {
      cpuMs: fields.reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0),
      residentBytes: Number(kib ?? 0) * 1024,
    };
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    const below = children === '' ? [] : children.split(' ').map((child) => processUse(Number(child)));
    return [own, ...below].reduce(
      (sum, use) => ({ cpuMs: sum.cpuMs + use.cpuMs, residentBytes: sum.residentBytes + use.residentBytes }),
      NONE,
    );
  } catch {
    return NONE;
  }
}
