import { parseArgs } from 'node:util';
import { missingForCuda, nvidiaDriver, parseProvider, probeProvider, vulkanDrivers } from '@talkmesh/inference';
import { EXIT, UsageError } from './cli-errors.js';
import { findProgram } from './tools.js';

export const DOCTOR_HELP = `talkmesh doctor [--provider cpu|webgpu|cuda[:DEVICE]]
  Says which programs and which ways to compute this machine has, and what to do about the others. Each way runs a small
  graph; cuda has not been run on a GPU yet. Ends with 1 when something is missing that talkmesh needs.
  --provider NAME     also needed: the value that TALKMESH_INFERENCE_PROVIDER shall have`;

/** Programs, and what needs them. */
const PROGRAMS = {
  'nats-server': 'every mesh (or set TALKMESH_NATS_URL)',
  ffmpeg: '`talkmesh render` and recordings',
  'espeak-ng': 'typed lines without a speech provider',
} as const;

export interface Finding {
  readonly name: string;
  readonly good: boolean;
  readonly needed: boolean;
  readonly detail: string;
}

/** Runs `talkmesh doctor`. @returns the exit code @throws UsageError */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { provider: { type: 'string' } } });
  const wanted = values.provider;
  if (wanted !== undefined && !/^(cpu|webgpu|cuda(:\d{1,3})?)$/.test(wanted))
    throw new UsageError(`--provider is cpu, webgpu or cuda:<device number>, not "${wanted}"`);
  const findings = [...programs(process.env), ...(await providers(wanted, process.env))];
  for (const finding of findings) process.stdout.write(`${line(finding)}\n`);
  return findings.every(({ good, needed }) => good || !needed) ? EXIT.ok : EXIT.failure;
}

export function line({ name, good, needed, detail }: Finding): string {
  return `${(good ? 'yes' : needed ? 'NO' : 'no').padEnd(4)} ${name.padEnd(12)} ${detail}`;
}

export function programs(env: NodeJS.ProcessEnv): Finding[] {
  return Object.entries(PROGRAMS).map(([name, use]) => {
    const path = findProgram(name, env);
    const needed = name === 'nats-server' && env['TALKMESH_NATS_URL'] === undefined;
    return { name, good: path !== undefined, needed, detail: path ?? `needed for ${use}: apt-get install ${name}` };
  });
}

async function providers(wanted: string | undefined, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const cuda = wanted?.startsWith('cuda') ? wanted : 'cuda:0';
  const findings: Finding[] = [];
  for (const name of ['cpu', 'webgpu', cuda]) {
    const { provider, available, detail } = await probeProvider(parseProvider(name));
    const needed = name === 'cpu' || name === wanted;
    findings.push({ name: provider, good: available, needed, detail: `${detail}${around(name, env)}` });
  }
  return findings;
}

/** What was found that the provider builds on. */
function around(provider: string, env: NodeJS.ProcessEnv): string {
  if (provider === 'cpu') return '';
  if (provider === 'webgpu')
    return `\n       Vulkan drivers: ${vulkanDrivers(env['VK_ICD_FILENAMES']).join(', ') || 'none'}`;
  return `\n       driver: ${nvidiaDriver() ?? 'none'}; missing: ${missingForCuda().join(', ') || 'nothing that was looked for'}`;
}
