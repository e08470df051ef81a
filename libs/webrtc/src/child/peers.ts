import type wrtc from '@roamhq/wrtc';
import { MeshError } from '@talkmesh/contracts';
import { type ParentLink, serveParent } from '@talkmesh/service-kit/child';
import { credentialsOf, fragmentOf, iceTag, matches, restartedOffer } from '../ice-fragment.js';
import type {
  FromPeerChild,
  IceChange,
  PeerReply,
  PeerRequest,
  PeerSettings,
  PeerState,
  ToPeerChild,
} from '../protocol.js';
import { answerOffer, createPeer } from './answer.js';

export type PeerConnection = InstanceType<typeof wrtc.RTCPeerConnection>;

/** A peer that does not connect within this time has failed. */
const CONNECT_MS = 30_000;
const CLOSE_GRACE_MS = 200;

/** The service's part of a peer connection. */
export interface PeerMedia<In> {
  /** Called after the remote description is set, while directions may still be changed. */
  negotiating?(): void;
  handle(message: In): void;
  stateChanged(state: PeerState): void;
  close(): void;
}

export type AttachMedia<Setup, In, Out> = (
  peer: PeerConnection,
  setup: Setup,
  emit: (message: Out) => void,
) => PeerMedia<In>;

interface HeldPeer<In> {
  readonly connection: PeerConnection;
  readonly media: PeerMedia<In>;
  readonly settings: PeerSettings;
  readonly connectTimer: NodeJS.Timeout;
  /** The description that the caller offered, with the credentials of its latest ICE session. */
  offer: string;
  /** Changes one after the other: a restart takes several calls of native code. */
  changes: Promise<unknown>;
}

/** Holds peer connections for the parent process until it exits. Native objects stay referenced here until they are closed. */
export function servePeers<Setup, In, Out>(attach: AttachMedia<Setup, In, Out>): void {
  const peers = new Map<string, HeldPeer<In>>();
  let link: ParentLink<FromPeerChild<Out>>;

  const close = (peerId: string): void => {
    const peer = peers.get(peerId);
    if (peer === undefined) return;
    peers.delete(peerId);
    clearTimeout(peer.connectTimer);
    peer.media.close();
    peer.connection.close();
  };

  const changed = (peerId: string, state: PeerState): void => {
    const peer = peers.get(peerId);
    if (peer === undefined) return;
    if (state === 'connected') clearTimeout(peer.connectTimer);
    peer.media.stateChanged(state);
    link.emit({ kind: 'state', id: peerId, state });
    if (state === 'failed' || state === 'closed') close(peerId);
  };

  const open = async (peerId: string, { sdp, settings, setup }: PeerRequest<Setup>): Promise<PeerReply> => {
    const connection = createPeer(settings);
    const media = attach(connection, setup, (body) => void link.emit({ kind: 'message', id: peerId, body }));
    const connectTimer = setTimeout(() => changed(peerId, 'failed'), CONNECT_MS);
    peers.set(peerId, { connection, media, settings, connectTimer, offer: sdp, changes: Promise.resolve() });
    connection.addEventListener('connectionstatechange', () => changed(peerId, stateOf(connection)));
    try {
      const answer = await answerOffer(connection, sdp, settings, () => media.negotiating?.());
      if (!peers.has(peerId))
        throw new MeshError('CANCELLED', 'the peer was closed while its offer was being answered');
      assertCandidates(answer, settings);
      return { sdp: answer };
    } catch (thrown) {
      close(peerId);
      throw thrown;
    }
  };

  const change = async (peerId: string, wanted: IceChange): Promise<PeerReply> => {
    const peer = peers.get(peerId);
    if (peer === undefined) throw new MeshError('NOT_FOUND', 'this connection is closed; send a new offer');
    const answer = peer.changes.then(() => changeIce(peer, wanted));
    peer.changes = answer.catch(() => undefined);
    return answer;
  };

  link = serveParent<ToPeerChild<Setup, In>, PeerReply, FromPeerChild<Out>>({
    onRequest: async (message) => {
      if (message.op === 'open') return open(message.id, message.request);
      if (message.op === 'change') return change(message.id, message.change);
      if (message.op === 'close') close(message.id);
      return { sdp: '' };
    },
    onMessage: (message) => {
      if (message.op === 'message') peers.get(message.id)?.media.handle(message.body);
      else if (message.op === 'close') close(message.id);
    },
    onStop: async () => {
      for (const peerId of [...peers.keys()]) close(peerId);
      // Another thread sends DTLS close_notify. Then serveParent calls process.exit, because a natural exit crashes in native code.
      await new Promise((resolve) => setTimeout(resolve, CLOSE_GRACE_MS));
    },
  });
}

/** Adds candidates (trickle ICE, RFC 8838), or answers new credentials with new ones (ICE restart, RFC 8839, 4.4.1.1.1). */
async function changeIce<In>(peer: HeldPeer<In>, { ifMatch, fragment }: IceChange): Promise<PeerReply> {
  const { connection, media, settings } = peer;
  const tag = iceTag(connection.localDescription?.sdp ?? '');
  if (tag === undefined || !matches(ifMatch, tag))
    throw new MeshError(
      'ICE_SESSION_CHANGED',
      'If-Match names another ICE session than the present one; send the ETag of the latest answer, or * to restart ICE',
    );
  const { credentials, candidates } = fragment;
  if (credentials !== undefined && credentials.ufrag !== credentialsOf(peer.offer)?.ufrag) {
    const offer = restartedOffer(peer.offer, fragment);
    const answer = await answerOffer(connection, offer, settings, () => media.negotiating?.(), true);
    peer.offer = offer;
    assertCandidates(answer, settings);
    return { sdp: fragmentOf(answer) };
  }
  for (const { mid, candidate } of candidates)
    await connection.addIceCandidate({ candidate, ...(mid === undefined ? { sdpMLineIndex: 0 } : { sdpMid: mid }) });
  return { sdp: '' };
}

/** Without a free UDP port native code falls back to TCP candidates, which firewall rules for the range do not admit. */
function assertCandidates(answer: string, { relayOnly }: PeerSettings): void {
  if (/^a=candidate:\S+ \d+ udp /im.test(answer)) return;
  throw new MeshError(
    'SESSION_LIMIT',
    relayOnly
      ? 'the TURN server gave no relay; check TALKMESH_ICE_URLS, its credentials and its range of ports'
      : 'no UDP port is free; widen the range TALKMESH_RTC_PORT_MIN to TALKMESH_RTC_PORT_MAX',
  );
}

function stateOf(connection: PeerConnection): PeerState {
  const state = connection.connectionState;
  return state === 'new' ? 'connecting' : state;
}
