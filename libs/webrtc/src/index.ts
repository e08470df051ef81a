export * from './config.js';
export * from './sdp.js';
