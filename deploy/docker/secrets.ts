/**
 * `npm run secrets`: writes fresh secrets for compose.yaml into deploy/docker/secrets, once. Only the containers' user may read
 * them: as root they are given to user 65532, otherwise the containers run as the caller. It also makes the folder of recordings.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNatsUsers } from '@talkmesh/service-kit';
import { ROOT } from '../local/src/mesh.js';

const CONTAINER_USER = 65_532;
const random = (): string => randomBytes(32).toString('hex');

const NATS_SETTINGS = `port: 4222
http_port: 8222
jetstream { store_dir: "/data" }
max_pending: 64MB
`;

/** Relays only to peers outside of this host and its link; the control port and TLS are off because nothing here uses them. */
const turnSettings = (password: string): string => `listening-port=3478
min-port=49160
max-port=49199
realm=talkmesh
lt-cred-mech
user=talkmesh:${password}
fingerprint
no-cli
no-tls
no-dtls
no-multicast-peers
denied-peer-ip=0.0.0.0-0.255.255.255
denied-peer-ip=127.0.0.0-127.255.255.255
denied-peer-ip=169.254.0.0-169.254.255.255
denied-peer-ip=::1
log-file=stdout
pidfile=/tmp/turnserver.pid
`;

/**
 * The server of the profile `livekit`. Browsers play sound and picture in step only with sync_streams. Without an entry in stun_servers
 * participants would ask a server on the internet; they need none, because this server has an address that they reach.
 */
const livekitSettings = (secret: string): string => `port: 7880
rtc: { tcp_port: 7881, udp_port: 7882, use_external_ip: false, stun_servers: ['127.0.0.1:3478'] }
room: { sync_streams: true }
keys: { talkmesh: '${secret}' }
`;

/** Writes all secrets. @param docker the folder of compose.yaml @throws Error when they are there already */
export async function writeSecrets(docker: string): Promise<void> {
  const folder = join(docker, 'secrets');
  if (existsSync(folder))
    throw new Error(`${folder} exists: delete it to replace all secrets, then restart the containers`);
  await mkdir(folder, { mode: 0o700 });
  const { serverConfig } = await writeNatsUsers(folder);
  const [turn, livekit] = [random(), random()];
  const files: Readonly<Record<string, string>> = {
    'api-keys': random(),
    'token-secret': random(),
    mesh: random(),
    turn,
    'turn-server': turnSettings(turn),
    'recording-key': generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    livekit,
    'livekit-server': livekitSettings(livekit),
    grafana: random(),
    'nats-server': NATS_SETTINGS + serverConfig,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const [uid, gid] = [process.getuid?.() || CONTAINER_USER, process.getgid?.() || CONTAINER_USER];
  for (const name of await readdir(folder)) {
    await chmod(join(folder, name), 0o400);
    await chown(join(folder, name), uid, gid);
  }
  const recordings = join(docker, 'recordings');
  await mkdir(recordings, { recursive: true, mode: 0o750 });
  await chown(recordings, uid, gid);
  // Compose reads this file beside compose.yaml.
  await writeFile(join(docker, '.env'), `TALKMESH_CONTAINER_USER=${uid}:${gid}\n`);
}

if (process.argv[1] === import.meta.filename) {
  try {
    await writeSecrets(join(ROOT, 'deploy/docker'));
    process.stdout.write(
      'Secrets are in deploy/docker/secrets. The API key for the page is in deploy/docker/secrets/api-keys.\n',
    );
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
