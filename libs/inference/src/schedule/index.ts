export * from './admission.js';
export * from './clock.js';
export * from './config-fields.js';
export * from './cost.js';
export * from './ladder.js';
export * from './order.js';
export * from './residents.js';
export * from './warm-up.js';
