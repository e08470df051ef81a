/** `draw-timeline.ts TRACE PROVIDER PICTURE`: draws what a provider's streams did at the end of a run. */
import { readFileSync, writeFileSync } from 'node:fs';
import { timelinePicture } from './timeline-picture.js';

const WINDOW_MS = 250;

const [trace = '', provider = '', picture = ''] = process.argv.slice(2);
writeFileSync(picture, timelinePicture(readFileSync(trace, 'utf8'), new RegExp(`^${provider} stream`), WINDOW_MS));
process.stdout.write(`${picture}: copies and runs of ${provider}\n`);
