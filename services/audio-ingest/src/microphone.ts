import { randomUUID } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { type PeerHost, type PeerState, parseOffer } from '@talkmesh/webrtc';
import type { FromMic, MicSetup, ToMic } from './mic-messages.js';
import type { AudioSource, IngestSession } from './session.js';

export type MicHost = Pick<PeerHost<MicSetup, ToMic, FromMic>, 'open' | 'ice' | 'close'>;

interface MicPeer {
  readonly peerId: string;
  source?: AudioSource;
}

/** The WHIP peer (RFC 9725) of a session. */
export class Microphone {
  readonly #host: MicHost;
  readonly #session: IngestSession;
  #peer: MicPeer | undefined;
  #offers: Promise<unknown> = Promise.resolve();

  constructor(host: MicHost, session: IngestSession) {
    this.#host = host;
    this.#session = session;
  }

  /** Answers a WHIP offer; the new microphone replaces the previous one. @throws MeshError SDP_INVALID, SDP_TIMEOUT, PEER_LOST, SESSION_EXISTS */
  offer(sdp: string): Promise<{ sdp: string; resourceId: string }> {
    const answered = this.#offers.then(() => this.#answer(sdp));
    this.#offers = answered.catch(() => undefined);
    return answered;
  }

  /** Trickle ICE and ICE restart, as `PeerHost.ice`. @throws MeshError NOT_FOUND: the microphone was replaced or is closed */
  async ice(resourceId: string, ifMatch: string, fragment: string): Promise<string> {
    if (this.#peer?.peerId !== resourceId)
      throw new MeshError('NOT_FOUND', 'this connection is closed; send a new offer');
    return this.#host.ice(resourceId, ifMatch, fragment);
  }

  async hangup(resourceId: string): Promise<void> {
    if (this.#peer?.peerId === resourceId) await this.#drop();
  }

  async close(): Promise<void> {
    await this.#offers;
    await this.#drop();
  }

  async #answer(offer: string): Promise<{ sdp: string; resourceId: string }> {
    const { sdp, directions } = parseOffer(offer, ['audio']);
    if (!['sendonly', 'sendrecv'].includes(directions.get('audio') ?? ''))
      throw new MeshError('SDP_INVALID', 'the SDP offer sends no audio');
    if (this.#peer === undefined) this.#session.assertFree();
    const peer: MicPeer = { peerId: randomUUID() };
    const answer = await this.#host.open(
      peer.peerId,
      sdp,
      {},
      {
        onState: (state) => this.#changed(peer, state),
        onMessage: ({ pcm, sampleRateHz, channels }) => peer.source?.push(pcm, sampleRateHz, channels),
        onLost: () => this.#lost(peer),
      },
    );
    await this.#drop();
    try {
      peer.source = this.#session.claim('microphone');
    } catch (thrown) {
      await this.#host.close(peer.peerId);
      throw thrown;
    }
    this.#peer = peer;
    return { sdp: answer, resourceId: peer.peerId };
  }

  async #drop(): Promise<void> {
    const peer = this.#peer;
    if (peer === undefined) return;
    this.#release();
    await this.#host.close(peer.peerId);
  }

  #release(): void {
    this.#peer?.source?.release();
    this.#peer = undefined;
  }

  #changed(peer: MicPeer, state: PeerState): void {
    if (this.#peer === peer && (state === 'failed' || state === 'closed')) this.#release();
  }

  #lost(peer: MicPeer): void {
    if (this.#peer !== peer) return;
    this.#release();
    this.#session.peerLost();
  }
}
