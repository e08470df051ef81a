// Serves a folder and mints session tokens: TALKMESH_URL=… TALKMESH_API_KEY=… node server.mjs FOLDER
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename, extname, join } from 'node:path';
import { tokenHandler } from '@talkmesh/client/server';

const { TALKMESH_URL, TALKMESH_API_KEY, PORT = '3000' } = process.env;
const folder = process.argv[2] ?? '.';
const AVATARS = ['mia', 'kenji'];
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };

const mintToken = tokenHandler({
  baseUrl: TALKMESH_URL,
  apiKey: TALKMESH_API_KEY,
  // Look at the request's log-in here. What the page wishes is only a wish.
  session: ({ avatar }) => (AVATARS.includes(avatar) ? { avatar, language: 'en' } : undefined),
});

createServer(async (request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  if (path === '/token') return mintToken(request, response);
  const name = basename(path) || 'index.html';
  try {
    const text = await readFile(join(folder, name), 'utf8');
    response.setHeader('content-type', TYPES[extname(name)] ?? 'application/octet-stream');
    // The pages name a gateway of the documentation.
    response.end(text.replaceAll('https://talk.example.com', TALKMESH_URL));
  } catch {
    response.writeHead(404).end('Not found.');
  }
}).listen(Number(PORT), () => console.log(`http://localhost:${PORT}`));
