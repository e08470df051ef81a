import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startGateway } from './service.js';

await runService({ name: 'gateway', parseConfig, start: startGateway }, process.env);
