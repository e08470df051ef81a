import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Mesh, startMesh } from '../../deploy/local/src/mesh.js';
import { LivekitServer } from './livekit-server.js';
import { ROOMY } from './roomy.js';

/** A whole mesh that may use the rooms of a LiveKit server beside it, and has its key. */
export class AgentMesh implements AsyncDisposable {
  readonly server: LivekitServer;
  readonly mesh: Mesh;
  readonly #folder: string;

  /** @param egress additional environment of webrtc-egress */
  static async start(egress: NodeJS.ProcessEnv = {}): Promise<AgentMesh> {
    const server = await LivekitServer.start();
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-agent-mesh-'));
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, server.apiSecret, { mode: 0o600 });
    const urls = { TALKMESH_LIVEKIT_URLS: server.url };
    const key = { TALKMESH_LIVEKIT_API_KEY: server.apiKey, TALKMESH_LIVEKIT_API_SECRET_FILE: secretFile };
    const env = { ...ROOMY, gateway: { ...urls, ...key }, 'webrtc-egress': { ...urls, ...egress } };
    return new AgentMesh(server, await startMesh({ quiet: true, env }), folder);
  }

  private constructor(server: LivekitServer, mesh: Mesh, folder: string) {
    this.server = server;
    this.mesh = mesh;
    this.#folder = folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.stop();
    await this.server[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}
