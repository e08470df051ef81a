import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';

const CONNECT_MS = 60_000;

/** A viewer as a product has it: LiveKit's client for browsers, and one video element. The server, the token and `lips` are in the fragment. */
const PAGE = `<!doctype html><video autoplay playsinline></video><script type="module">
import { Room, RoomEvent } from '/livekit-client.js';
import { keepLipSync } from '/talkmesh-client.js';
const [url, token, lips] = decodeURIComponent(location.hash.slice(1)).split(' ');
const video = document.querySelector('video');
video.srcObject = new MediaStream();
const room = new Room();
const receivers = {};
room.on(RoomEvent.TrackSubscribed, (track) => {
  video.srcObject.addTrack(track.mediaStreamTrack);
  receivers[track.kind] = track.receiver;
  if (lips === 'lips' && receivers.audio && receivers.video) keepLipSync(video, receivers);
});
await room.connect(url, token);
</script>`;

async function scripts(): Promise<ReadonlyMap<string, Uint8Array>> {
  const livekit = join(dirname(createRequire(import.meta.url).resolve('livekit-client')), 'livekit-client.esm.mjs');
  const { outputFiles } = await build({
    entryPoints: ['libs/client/src/index.ts'],
    ...{ bundle: true, format: 'esm', write: false, conditions: ['source'] },
  });
  return new Map([
    ['/livekit-client.js', await readFile(livekit)],
    ['/talkmesh-client.js', outputFiles[0]?.contents ?? new Uint8Array()],
  ]);
}

export interface RoomPageOptions {
  /** Whether the page calls `keepLipSync` of @talkmesh/client. */
  readonly keepsLipSync?: boolean;
}

/** Opens a room in a browser, and waits until sound is there and the picture moves. */
export async function watchRoom(
  page: Page,
  url: string,
  token: string,
  { keepsLipSync = false }: RoomPageOptions = {},
): Promise<AsyncDisposable> {
  const files = await scripts();
  const server = createServer((request, response) => {
    const script = files.get(request.url ?? '');
    const type = script === undefined ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'content-type': type }).end(script ?? PAGE);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const fragment = encodeURIComponent(`${url} ${token} ${keepsLipSync ? 'lips' : ''}`);
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/#${fragment}`);
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
