export * from './admission.js';
export * from './config-fields.js';
export * from './cost.js';
export * from './ladder.js';
export * from './order.js';
