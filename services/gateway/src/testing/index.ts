/** The parsers of the public edge, for tests outside of this service. */
export { parseApiKeys } from '../api-keys.js';
export { Auth } from '../auth.js';
export { readClientMessage } from '../avatar/avatar-messages.js';
export { isProxyTrust } from '../http/proxy-trust.js';
export { ownAvatarRecord } from '../own-avatars.js';
export { bundleScript } from '../page/bundle.js';
export { decodePicture } from '../picture/decode-picture.js';
export { PictureError, readHeader } from '../picture/picture-header.js';
export * as schemas from '../schemas.js';
export * as pictures from './pictures.js';
