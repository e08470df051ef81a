/**
 * Must be imported before LiveKit's library, which otherwise writes a line to stdout for every stream that any participant sends to a topic without a
 * handler, whatever the service's level of logging is.
 */
process.env['NODE_ENV'] ??= 'production';
