// A LiveKit room for each visitor: LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=… TALKMESH_URL=… TALKMESH_API_KEY=… node server.mjs
// The avatar hears the visitor and answers. Without TALKMESH_URL a LiveKit agent brings it, such as ../livekit-agent.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { TalkMeshClient } from '@talkmesh/client';
import { AccessToken, RoomConfiguration } from 'livekit-server-sdk';

const { LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, TALKMESH_URL, TALKMESH_API_KEY, PORT = '3000' } = process.env;
const SCRIPTS = {
  '/livekit/': import.meta.resolve('livekit-client'),
  '/talkmesh/': import.meta.resolve('@talkmesh/client'),
};

async function enter() {
  const [room, identity] = [`room-${randomUUID()}`, 'visitor'];
  if (TALKMESH_URL) {
    const talkmesh = new TalkMeshClient({ baseUrl: TALKMESH_URL, apiKey: TALKMESH_API_KEY });
    await talkmesh.createTicket({ avatar: 'mia', transport: { livekit: { room, microphone: { identity } } } });
  }
  const token = new AccessToken(LIVEKIT_API_KEY, LIVEKIT_API_SECRET, { identity, ttl: '10m' });
  token.addGrant({ roomJoin: true, room });
  token.roomConfig = new RoomConfiguration({ syncStreams: true }); // counts when the visitor is the first
  return JSON.stringify({ url: LIVEKIT_URL, token: await token.toJwt() });
}

async function answer({ method, url }) {
  if (method === 'POST' && url === '/enter') return ['application/json', await enter()];
  if (url === '/') return ['text/html', await readFile(new URL('index.html', import.meta.url))];
  const [, folder, name] = /^(\/\w+\/)([\w.-]+\.m?js)$/.exec(url) ?? [];
  return ['text/javascript', await readFile(new URL(name, SCRIPTS[folder]))];
}

createServer((request, response) =>
  answer(request).then(
    ([type, body]) => response.setHeader('content-type', type).end(body),
    (error) => response.writeHead(404).end(error.message),
  ),
).listen(Number(PORT), '127.0.0.1', () => console.log(`http://localhost:${PORT}`));
