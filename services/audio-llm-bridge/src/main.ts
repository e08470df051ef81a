import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startBridge } from './service.js';

await runService({ name: 'audio-llm-bridge', parseConfig, start: startBridge }, process.env);
