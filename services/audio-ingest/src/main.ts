import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startAudioIngest } from './service.js';

await runService({ name: 'audio-ingest', parseConfig, start: startAudioIngest }, process.env);
