export * from './i420.js';
export * from './pcm.js';
export * from './pcm-ring.js';
export * from './pitch-shift.js';
export * from './playout-clock.js';
export * from './resampler.js';
export * from './voice-activity.js';
export * from './wav.js';
