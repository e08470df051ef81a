/** Detects fast instructions of the processor. */
import { readFileSync } from 'node:fs';

const CPU_FACTS = '/proc/cpuinfo';
/**
 * CPU flags, as Linux names them, of instructions that add four 8-bit products into 32 bits: first x86-64, then arm64.
 */
const FAST_INT8 = ['avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'];

/**
 * Returns the flag of the processor's fast instruction for 8-bit products; undefined without one.
 * @param cpuFacts the text of /proc/cpuinfo
 */
export function fastInt8(cpuFacts: string): string | undefined {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuFacts)?.[1] ?? '';
  const known = new Set(line.split(/\s+/));
  return FAST_INT8.find((name) => known.has(name));
}

/** The text of /proc/cpuinfo; empty on systems without it. */
export function readCpuFacts(): string {
  try {
    return readFileSync(CPU_FACTS, 'utf8');
  } catch {
    return '';
  }
}
