import { Metadata } from '@grpc/grpc-js';
import { v1 } from '@talkmesh/contracts/protos';
import { connectClient } from '@talkmesh/service-kit';
import type { RemoteMesh } from '../../deploy/local/src/render/options.js';

/** A call without a browser: speech streamed in, frames read out, through the gateway's public gRPC endpoint. */
export interface RecordCall {
  readonly sessionId: string;
  /** Frames received so far. */
  frames(): number;
  /** Resolves when the frame stream has ended, with the error's message or undefined. */
  readonly ended: Promise<string | undefined>;
  hangUp(): Promise<void>;
}

const CHUNK_SAMPLES = 4800;

export async function rest<T>(
  mesh: Pick<RemoteMesh, 'httpUrl' | 'apiKey'>,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${mesh.httpUrl}${path}`, {
    method,
    headers: {
      ...headers,
      authorization: `Bearer ${mesh.apiKey}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
}

export async function startRecordCall(mesh: RemoteMesh, avatar: string, pcm: Int16Array): Promise<RecordCall> {
  const created = await rest<Created>(mesh, 'POST', '/v1/sessions', {
    avatar,
    provider: 'external',
    output: 'record',
    seed: 1,
  });
  if (created.status !== 201) throw new Error(`session refused: ${JSON.stringify(created.body)}`);
  const { session, token } = created.body;
  const sessionId = session.id;
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  const ingest = connectClient<InstanceType<typeof v1.AudioIngest>>(v1.AudioIngest, mesh.grpcAddress);
  const recorder = connectClient<InstanceType<typeof v1.RecordService>>(v1.RecordService, mesh.grpcAddress);

  const upload = ingest.StreamAudio(metadata, () => {});
  upload.on('error', () => {});
  upload.write({ sessionId, sampleRateHz: 24_000, channels: 1 });
  for (let at = 0; at < pcm.length; at += CHUNK_SAMPLES) {
    const part = pcm.slice(at, at + CHUNK_SAMPLES);
    upload.write({ pcm: Buffer.from(part.buffer) });
  }
  upload.end();

  let frames = 0;
  const download = recorder.Record({ sessionId }, metadata);
  const ended = new Promise<string | undefined>((resolve) => {
    download.on('data', () => {
      frames += 1;
    });
    download.on('error', (error) => resolve(error.message));
    download.on('end', () => resolve(undefined));
  });
  return {
    sessionId,
    frames: () => frames,
    ended,
    async hangUp() {
      await rest(mesh, 'DELETE', `/v1/sessions/${sessionId}`);
      await ended;
      ingest.close();
      recorder.close();
    },
  };
}
