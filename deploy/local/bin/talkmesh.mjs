#!/usr/bin/env node
import { checkNode, ensureInstalled, runTypeScript } from './launch.mjs';

checkNode();
await ensureInstalled();
const [command, ...rest] = process.argv.slice(2);
if (command === 'bench') runTypeScript('test/bench/bench.ts', rest);
else runTypeScript('deploy/local/src/cli.ts', process.argv.slice(2));
