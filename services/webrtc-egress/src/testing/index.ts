/** What tests outside this service may use of it. */
export { Playout, type PlayoutFrame } from '../child/playout.js';
export { createEgressMetrics } from '../metrics.js';
export { EgressSession } from '../session.js';
export type { FromViewer } from '../viewer-messages.js';
export { type ViewerHost, WebrtcSink } from '../webrtc-sink.js';
