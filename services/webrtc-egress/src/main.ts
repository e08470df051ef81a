import { runService } from '@talkmesh/service-kit';
import { parseConfig } from './config.js';
import { startWebrtcEgress } from './service.js';

await runService({ name: 'webrtc-egress', parseConfig, start: startWebrtcEgress }, process.env);
