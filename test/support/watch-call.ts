import { v1 } from '@talkmesh/contracts/protos';
import { connectClient } from '@talkmesh/service-kit';
import { type PeerReport, TestPeer } from '@talkmesh/webrtc/testing';
import type { RemoteMesh } from '../../deploy/local/src/render/options.js';
import { rest } from './record-call.js';
import { SpeechStream, type SpeechStreamOptions } from './speech-stream.js';

/** A call in real time without a browser: a WebRTC viewer in another process, and speech sent as a language model sends it. */
export interface WatchCall extends AsyncDisposable {
  readonly sessionId: string;
  report(): Promise<PeerReport>;
  /** Sends speech as one turn, at twice real time. Resolves when all of it has been sent or the call has ended. */
  say(pcm: Int16Array): Promise<void>;
  /** Sends the words repeatedly as one turn, in real time, until it is stopped. */
  talk(words: Int16Array): SpeechStream;
  /** Connects again, as a browser does after its connection broke. The report starts from zero. */
  watchAgain(): Promise<void>;
  /** Sends a tone as the microphone, over a new connection that replaces an earlier one. */
  hum(): Promise<void>;
}

/** A session that waits for its viewer. */
export interface Created {
  readonly session: { readonly id: string };
  readonly token: string;
  readonly whep: string;
  readonly whip: string;
}

/** Connects another process as viewer or microphone. @throws Error when the offer is refused */
export async function connectPeer(
  mesh: Pick<RemoteMesh, 'httpUrl'>,
  created: Created,
  protocol: 'whep' | 'whip',
): Promise<TestPeer> {
  const peer = new TestPeer();
  try {
    const answer = await fetch(new URL(created[protocol], mesh.httpUrl), {
      method: 'POST',
      headers: { authorization: `Bearer ${created.token}`, 'content-type': 'application/sdp' },
      body: await peer.offer(protocol === 'whep' ? { receive: ['video', 'audio'] } : { sendAudio: true }),
      signal: AbortSignal.timeout(20_000),
    });
    if (answer.status !== 201) throw new Error(`the ${protocol} offer was refused: ${await answer.text()}`);
    await peer.accept(await answer.text());
    return peer;
  } catch (error) {
    await peer[Symbol.asyncDispose]();
    throw error;
  }
}

/** @param options further fields of the request that creates the session */
export async function watchCall(mesh: RemoteMesh, avatar: string, options: object = {}): Promise<WatchCall> {
  const wanted = { avatar, provider: 'external', output: 'webrtc', seed: 1, ...options };
  const { status, body } = await rest<Created>(mesh, 'POST', '/v1/sessions', wanted);
  if (status !== 201) throw new Error(`session refused: ${JSON.stringify({ status, body })}`);
  return new Watched(mesh, await connectPeer(mesh, body, 'whep'), body);
}

class Watched implements WatchCall {
  readonly sessionId: string;
  readonly #mesh: RemoteMesh;
  readonly #created: Created;
  #peer: TestPeer;
  #microphone: TestPeer | undefined;
  readonly #ingest: InstanceType<typeof v1.AudioIngest>;

  constructor(mesh: RemoteMesh, peer: TestPeer, created: Created) {
    this.sessionId = created.session.id;
    this.#mesh = mesh;
    this.#peer = peer;
    this.#created = created;
    this.#ingest = connectClient<InstanceType<typeof v1.AudioIngest>>(v1.AudioIngest, mesh.grpcAddress);
  }

  report(): Promise<PeerReport> {
    return this.#peer.report();
  }

  async say(pcm: Int16Array): Promise<void> {
    // A refused stream needs no error here: the tests measure which speech was heard.
    await this.#stream({ words: pcm, speed: 2, samples: pcm.length }).over.catch(() => undefined);
  }

  talk(words: Int16Array): SpeechStream {
    return this.#stream({ words, speed: 1 });
  }

  #stream(what: Pick<SpeechStreamOptions, 'words' | 'speed' | 'samples'>): SpeechStream {
    const { token } = this.#created;
    return new SpeechStream({ ...what, ingest: this.#ingest, sessionId: this.sessionId, token });
  }

  async watchAgain(): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
    this.#peer = await connectPeer(this.#mesh, this.#created, 'whep');
  }

  async hum(): Promise<void> {
    await this.#microphone?.[Symbol.asyncDispose]();
    this.#microphone = await connectPeer(this.#mesh, this.#created, 'whip');
    await this.#microphone.tone(300, 8000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rest(this.#mesh, 'DELETE', `/v1/sessions/${this.sessionId}`);
    this.#ingest.close();
    await this.#microphone?.[Symbol.asyncDispose]();
    await this.#peer[Symbol.asyncDispose]();
  }
}
