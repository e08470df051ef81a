import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, explain, UsageError } from './cli-errors.js';
import { DEMO_HELP, demo } from './demo.js';
import { DOCTOR_HELP, doctor } from './doctor.js';
import { ROOT } from './mesh.js';
import { MODELS_HELP, models } from './models.js';
import { RENDER_HELP, render } from './render/render.js';
import { SMOKE_HELP, smoke } from './smoke.js';
import { VERIFY_HELP, verifyRecording } from './verify.js';

const HELP = `talkmesh animates a portrait from speech in real time.

${DEMO_HELP}

${RENDER_HELP}

${VERIFY_HELP}

${SMOKE_HELP}

${DOCTOR_HELP}

${MODELS_HELP}

talkmesh bench
  Measures chunk times, the number of sessions and the latency on this machine.

talkmesh --help | --version`;

const print = (text: string): number => {
  process.stdout.write(`${text}\n`);
  return EXIT.ok;
};

const version = (): string =>
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;

async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command === '--version' || command === '-v') return print(version());
  if (command === undefined || command === '--help' || command === '-h' || command === 'help') return print(HELP);
  const asksHelp = args.includes('--help') || args.includes('-h');
  if (command === 'demo') return asksHelp ? print(DEMO_HELP) : demo(args);
  if (command === 'render') return asksHelp ? print(RENDER_HELP) : render(args);
  if (command === 'doctor') return asksHelp ? print(DOCTOR_HELP) : doctor(args);
  if (command === 'models') return asksHelp ? print(MODELS_HELP) : models(args);
  if (command === 'verify') return asksHelp ? print(VERIFY_HELP) : verifyRecording(args);
  if (command === 'smoke') return asksHelp ? print(SMOKE_HELP) : smoke(args);
  throw new UsageError(
    `there is no command "${command}"; use demo, render, verify, smoke, doctor, models, bench, --help or --version`,
  );
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const { message, exitCode } = explain(thrown);
  process.stderr.write(`talkmesh: ${message}\n`);
  process.exitCode = exitCode;
}
