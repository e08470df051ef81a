import { afterSilence } from '@talkmesh/service-kit';
import type { WebSocket } from 'ws';

/** A client that sends nothing at first, milliseconds. */
const FIRST_MESSAGE_MS = 30_000;
/** A client that answers no ping for this long is gone, milliseconds. */
const PING_EVERY_MS = 15_000;
/** A client may take this long to close, milliseconds. */
const CLOSE_MS = 1000;
/** What a client does not read; beyond it the client is cut off, bytes. */
export const MAX_UNREAD_BYTES = 8 * 1024 * 1024;

/** Watches that the client of a WebSocket says something in time, and that it is still there. */
export function watchSocket(socket: WebSocket): void {
  let isAlive = true;
  const first = afterSilence(FIRST_MESSAGE_MS, () => socket.close(1008, 'no message within 30 s'));
  const pings = setInterval(() => {
    // A socket that is held back on purpose is not read, so no answer can come.
    if (isAlive || socket.isPaused) socket.ping();
    else socket.terminate();
    isAlive = false;
  }, PING_EVERY_MS);
  const heard = (): void => {
    isAlive = true;
  };
  socket.on('pong', heard);
  socket.on('message', heard);
  // Each is answered.
  socket.on('ping', () => cutOffUnread(socket));
  socket.once('message', () => first.cancel());
  socket.once('close', () => {
    first.cancel();
    clearInterval(pings);
  });
}

/** Sends text, unless the socket is closed; a client that does not read is cut off. @param onSent it left this process */
export function sendText(socket: WebSocket, text: string, onSent?: () => void): void {
  if (socket.readyState === socket.OPEN && !cutOffUnread(socket)) socket.send(text, onSent);
}

function cutOffUnread(socket: WebSocket): boolean {
  const isUnread = socket.bufferedAmount > MAX_UNREAD_BYTES;
  if (isUnread) socket.terminate();
  return isUnread;
}

/** Closes a WebSocket, whether or not its client answers. Resolves when it is closed. */
export async function closeSocket(socket: WebSocket, code: number, why: string): Promise<void> {
  if (socket.readyState === socket.CLOSED) return;
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  // The client's answer is read only then.
  socket.resume();
  socket.close(code, why);
  const late = setTimeout(() => socket.terminate(), CLOSE_MS);
  await closed;
  clearTimeout(late);
}
