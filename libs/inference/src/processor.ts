/** What the processor is fast at. */
import { readFileSync } from 'node:fs';

const CPU_FACTS = '/proc/cpuinfo';
/** Instructions that add four products of 8-bit numbers to 32 bits at once, as Linux names them; x86-64, then arm64. */
const FAST_INT8 = ['avx512_vnni', 'avx_vnni', 'asimddp', 'i8mm'];

/**
 * The processor's instruction for products of 8-bit numbers, undefined where there is none that is fast.
 * @param cpuFacts the text of /proc/cpuinfo
 */
export function fastInt8(cpuFacts: string): string | undefined {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuFacts)?.[1] ?? '';
  const known = new Set(line.split(/\s+/));
  return FAST_INT8.find((name) => known.has(name));
}

/** What the processor says of itself; empty on systems that do not tell. */
export function readCpuFacts(): string {
  try {
    return readFileSync(CPU_FACTS, 'utf8');
  } catch {
    return '';
  }
}
