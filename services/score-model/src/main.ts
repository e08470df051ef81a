import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startScoreModel } from './service.js';

await runService({ name: 'score-model', parseConfig, start: startScoreModel }, process.env);
