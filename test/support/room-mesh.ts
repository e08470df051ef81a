import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceName } from '@talkmesh/contracts';
import { type Mesh, type MeshOptions, startMesh } from '../../deploy/local/src/mesh.js';
import { LivekitServer, type LivekitServerOptions } from './livekit-server.js';
import { ROOMY } from './roomy.js';

export interface RoomMeshOptions extends Pick<MeshOptions, 'env' | 'replicas'> {
  readonly livekit?: LivekitServerOptions;
}

/** A whole mesh that may use the rooms of a LiveKit server beside it, and has its key. */
export class RoomMesh implements AsyncDisposable {
  readonly server: LivekitServer;
  readonly mesh: Mesh;
  readonly #folder: string;

  static async start({ livekit, env: own = {}, ...options }: RoomMeshOptions = {}): Promise<RoomMesh> {
    const server = await LivekitServer.start(livekit);
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-room-mesh-'));
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, server.apiSecret, { mode: 0o600 });
    const urls = { TALKMESH_LIVEKIT_URLS: server.url };
    const key = { TALKMESH_LIVEKIT_API_KEY: server.apiKey, TALKMESH_LIVEKIT_API_SECRET_FILE: secretFile };
    const env: Partial<Record<ServiceName, NodeJS.ProcessEnv>> = {
      ...{ ...ROOMY, ...own },
      gateway: { ...urls, ...key, ...own.gateway },
      'webrtc-egress': { ...urls, ...own['webrtc-egress'] },
      'audio-ingest': { ...urls, ...own['audio-ingest'] },
    };
    return new RoomMesh(server, await startMesh({ quiet: true, ...options, env }), folder);
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
