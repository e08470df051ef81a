import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bundleScript } from '../../../services/gateway/src/testing/index.js';

/** Answers an SDP offer of the page. */
export type AnswerOffer = (sdp: string) => Promise<{ readonly sdp: string; readonly resourceId: string }>;

const YEAR_S = 31_536_000;

/** A gateway of one page and one session: it serves `<talk-mesh>`, a token, and WHEP that `answer` answers. */
export async function servePage(
  sessionId: string,
  answer: AnswerOffer,
): Promise<{ readonly url: string } & AsyncDisposable> {
  const script = await bundleScript('talk-mesh.js');
  const claims = { sub: sessionId, iat: 0, exp: YEAR_S };
  const token = ['', Buffer.from(JSON.stringify(claims)).toString('base64url'), ''].join('.');
  const html = `<!doctype html><script type="module" src="/talk-mesh.js"></script><talk-mesh token-url="/token" base-url="" microphone="off" stats></talk-mesh>`;
  const server = createServer(async (request, response) => {
    const send = (status: number, type: string, body: string | Uint8Array, headers = {}): void =>
      void response.writeHead(status, { 'content-type': type, ...headers }).end(body);
    const { url = '', method } = request;
    if (url === '/') send(200, 'text/html', html);
    else if (url === '/talk-mesh.js') send(200, 'text/javascript', script);
    else if (url === '/token') send(200, 'application/json', JSON.stringify({ token }));
    else if (url.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const heartbeat = setInterval(() => void response.write(':\n\n'), 500);
      response.on('close', () => clearInterval(heartbeat));
    } else if (method === 'POST' && url.startsWith('/v1/whep/')) {
      const { sdp, resourceId } = await answer(await new Response(request as unknown as ReadableStream).text());
      send(201, 'application/sdp', sdp, { location: `${url}/${resourceId}` });
    } else response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}
