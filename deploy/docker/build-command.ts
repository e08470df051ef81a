/** `npm run build`. The images' build stage runs this file too, with esbuild and tsx as its only packages. */
import { buildPackages } from './build.js';

process.stdout.write(`Compiled ${await buildPackages()} files.\n`);
