import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, explain, UsageError } from './cli-errors.js';
import { DEMO_HELP, demo } from './demo.js';
import { ROOT } from './mesh.js';
import { RENDER_HELP, render } from './render/render.js';

const HELP = `talkmesh makes a picture talk, live.

${DEMO_HELP}

${RENDER_HELP}

talkmesh bench
  Measures what this machine holds: chunk times, sessions, latency.

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
  throw new UsageError(`there is no command "${command}"; use demo, render, bench, --help or --version`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (thrown) {
  const isBadFlag = (thrown as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  const { message, exitCode } = explain(isBadFlag ? new UsageError((thrown as Error).message) : thrown);
  process.stderr.write(`talkmesh: ${message}\n`);
  process.exitCode = exitCode;
}
