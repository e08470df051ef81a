// Health check of the images, which have no curl: `healthcheck.mjs [livez | readyz]` exits with 0 when the service answers 200.
const probe = process.argv[2] ?? 'livez';
const url = `http://127.0.0.1:${process.env.TALKMESH_ADMIN_PORT}/${probe}`;
try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(4000) });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
} catch (error) {
  process.stderr.write(`${url}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
