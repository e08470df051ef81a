import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';

const CONNECT_MS = 60_000;

/** A viewer as a product has it: LiveKit's client for browsers, and one video element. The server and the token are in the fragment. */
const PAGE = `<!doctype html><video autoplay playsinline></video><script type="module">
import { Room, RoomEvent } from '/livekit-client.js';
const [url, token] = decodeURIComponent(location.hash.slice(1)).split(' ');
const stream = new MediaStream();
document.querySelector('video').srcObject = stream;
const room = new Room();
room.on(RoomEvent.TrackSubscribed, (track) => stream.addTrack(track.mediaStreamTrack));
await room.connect(url, token);
</script>`;

/** Opens a room in a browser, and waits until sound is there and the picture moves. */
export async function watchRoom(page: Page, url: string, token: string): Promise<AsyncDisposable> {
  const client = join(dirname(createRequire(import.meta.url).resolve('livekit-client')), 'livekit-client.esm.mjs');
  const script = await readFile(client);
  const server = createServer((request, response) => {
    const isScript = request.url === '/livekit-client.js';
    const type = isScript ? 'text/javascript' : 'text/html';
    response.writeHead(200, { 'content-type': type }).end(isScript ? script : PAGE);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  await page.goto(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/#${encodeURIComponent(`${url} ${token}`)}`,
  );
  await page.waitForFunction(
    () => {
      const video = document.querySelector('video');
      return (
        (video?.currentTime ?? 0) > 0 && (video?.srcObject as MediaStream | undefined)?.getAudioTracks().length === 1
      );
    },
    undefined,
    { timeout: CONNECT_MS },
  );
  return {
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
