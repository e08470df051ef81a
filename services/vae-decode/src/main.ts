import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startVaeDecode } from './service.js';

await runService({ name: 'vae-decode', parseConfig, start: startVaeDecode }, process.env);
