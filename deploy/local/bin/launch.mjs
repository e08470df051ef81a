// Has no dependencies, because it runs on a fresh clone before any package is installed.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../../', import.meta.url));
const OLDEST_NODE = [20, 11];
const PARENT_POLL_MS = 500;
const FORWARDED_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  fail(
    `talkmesh needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}. Install it from https://nodejs.org`,
  );
}

/** Installs the packages of package-lock.json unless exactly those are installed. */
export async function ensureInstalled() {
  const reason = reasonToInstall();
  if (reason === undefined) return;
  print(`Installing packages (${reason}); the first time this takes about a minute.`);
  const begin = Date.now();
  const progress = setInterval(() => print(`  still installing, ${Math.round((Date.now() - begin) / 1000)} s`), 10_000);
  const { code, output } = await npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  clearInterval(progress);
  if (code === 0) print(`Packages are installed after ${Math.round((Date.now() - begin) / 1000)} s.`);
  else
    fail(
      `${output.slice(-4000)}\nnpm ci failed (code ${code}). Check that the npm registry or a mirror can be reached, then run this command again.`,
    );
}

/** Compares npm's own record of node_modules with the lockfile. @returns why packages must be installed; undefined when all are present */
function reasonToInstall() {
  const wanted = readJson('package-lock.json');
  const present = readJson('node_modules/.package-lock.json');
  if (wanted === undefined) fail('package-lock.json is missing; clone the repository again');
  if (present === undefined) return 'node_modules is not there';
  for (const [path, entry] of Object.entries(wanted.packages)) {
    if (!path.startsWith('node_modules/') || entry.optional || entry.peer) continue;
    const found = present.packages[path];
    // Some packages call their version v1.0.0, which npm's record keeps and its lockfile does not.
    if (found === undefined || found.version?.replace(/^v/, '') !== entry.version) return 'package-lock.json changed';
  }
  return undefined;
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(`${root}${path}`, 'utf8'));
  } catch {
    return undefined;
  }
}

function npm(args) {
  const script = process.env.npm_execpath;
  const [command, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
  return new Promise((resolve) => {
    let output = '';
    const child = spawn(command, [...first, ...args], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (part) => {
      output = (output + part).slice(-65_536);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => resolve({ code: -1, output: `npm cannot be started: ${error.message}` }));
    child.once('close', (code) => resolve({ code, output }));
  });
}

/**
 * Runs a TypeScript file of the repository in the current folder and exits with its exit code. The child has its own process group,
 * so that it receives Ctrl-C once: this process forwards it.
 */
export function runTypeScript(path, args) {
  const flags = [
    '--import',
    import.meta.resolve('tsx'),
    '--conditions=source',
    '--disable-warning=ExperimentalWarning',
  ];
  const env = { ...process.env, TALKMESH_PARENT_PID: String(process.pid) };
  const child = spawn(process.execPath, [...flags, `${root}${path}`, ...args], {
    env,
    stdio: 'inherit',
    detached: true,
  });
  for (const signal of FORWARDED_SIGNALS) process.on(signal, () => child.kill(signal));
  const orphaned = onOrphaned(() => child.kill('SIGTERM'));
  child.once('error', (error) => fail(`${process.execPath} cannot be started: ${error.message}`));
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
    clearInterval(orphaned);
    for (const forwarded of FORWARDED_SIGNALS) process.removeAllListeners(forwarded);
  });
}

/** npm passes a signal on to its shell, which ends by it and leaves this process behind. */
function onOrphaned(end) {
  if (process.env.npm_lifecycle_event === undefined) return undefined;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, PARENT_POLL_MS);
  return timer;
}

export function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function print(line) {
  process.stderr.write(`${line}\n`);
}
