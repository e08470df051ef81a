export { Call, type CallListeners, type ConnectOptions } from './call.js';
export { type ClientOptions, TalkMeshClient } from './client.js';
export { TalkMeshError } from './http.js';
export type * from './types.js';
