/** `npm run build`. The images' build stage runs this file too, with esbuild and tsx as its only packages. */
import { buildPackages, bundleSmoke } from './build.js';

const { files, compiled } = await buildPackages();
process.stdout.write(`Compiled ${compiled} of ${files} files.\n`);
await bundleSmoke();
