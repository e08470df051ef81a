export { AvatarSession, type AvatarSessionOptions, type LivekitCredentials } from './avatar-session.js';
export { GatewayError } from './gateway.js';
