export { Call, type CallListeners, type ConnectOptions } from './call.js';
export { AT_REST, progressAfter } from './call-progress.js';
export { type ClientOptions, TalkMeshClient } from './client.js';
export { TalkMeshError } from './http.js';
export { isLive, playAudibly, STATE_LABELS } from './playback.js';
export { describeStats } from './stats.js';
export type * from './types.js';
