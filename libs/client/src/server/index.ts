export { type TokenHandlerOptions, tokenHandler } from './token-handler.js';
export { readWebhook, type WebhookMessage } from './webhook.js';
