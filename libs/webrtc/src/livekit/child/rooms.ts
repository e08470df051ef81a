import { type DisconnectReason, dispose, Room, RoomEvent } from '@livekit/rtc-node';
import { MeshError } from '@talkmesh/contracts';
import { type ParentLink, serveParent } from '@talkmesh/service-kit/child';
import type { FromConnectionChild, ToConnectionChild } from '../../protocol.js';
import type { FromRoom, RoomEnd, RoomRequest, RoomState } from '../room-protocol.js';
import { roomEnd } from './disconnects.js';
import { joinError } from './join-error.js';
import { type JoinEvents, type JoinedRoom, RoomMembership } from './membership.js';

/** The service's part of a membership, which outlives the single join. */
export interface RoomMedia<In> {
  /** Whether the tracks of others are subscribed to. */
  readonly subscribes: boolean;
  /** Called before a join, while no event of the room can be missed yet. */
  prepare?(room: Room): void;
  /** Called after each join; resolves when media flows. */
  joined(room: Room): Promise<void>;
  handle(message: In): void;
  stateChanged(state: RoomState): void;
  close(): void;
}

export type AttachRoomMedia<Setup, In, Out> = (setup: Setup, emit: (message: Out) => void) => RoomMedia<In>;

/** Largest message of another participant that is taken: one segment of speech, 10 minutes of 48 kHz stereo. */
const MAX_STREAM_BYTES = 115_200_000;

interface HeldRoom<In> {
  readonly media: RoomMedia<In>;
  readonly membership: RoomMembership;
}

/** Holds memberships of LiveKit rooms for the parent process until it exits. */
export function serveRooms<Setup, In, Out>(attach: AttachRoomMedia<Setup, In, Out>): void {
  type Event = FromConnectionChild<RoomState, FromRoom<Out>>;
  const rooms = new Map<string, HeldRoom<In>>();
  let link: ParentLink<Event>;

  const close = async (id: string): Promise<void> => {
    const held = rooms.get(id);
    rooms.delete(id);
    held?.media.close();
    await held?.membership.close();
  };

  const open = (id: string, request: RoomRequest<Setup>): Promise<void> => {
    const emit = (body: FromRoom<Out>): void => void link.emit({ kind: 'message', id, body });
    const media = attach(request.setup, (body) => emit({ type: 'media', body }));
    let token = request.token;
    let settle: (end?: RoomEnd) => void = () => {};
    const firstJoin = new Promise<RoomEnd | undefined>((resolve) => {
      settle = resolve;
    });
    let isAwaited = request.awaitJoinMs > 0;
    const onState = (state: RoomState, end?: RoomEnd): void => {
      media.stateChanged(state);
      settle(end);
      const isAnswer = isAwaited && end !== undefined;
      isAwaited = false;
      if (isAnswer) void close(id);
      if (isAnswer) return;
      link.emit({ kind: 'state', id, state, ...(end !== undefined && { cause: end }) });
      if (state === 'failed') void close(id);
    };
    const onToken = (fresh: string): void => {
      token = fresh;
      emit({ type: 'token', token });
    };
    const membership = new RoomMembership({
      join: (events) => joinOnce({ url: request.url, token, media, events, emit, onToken }),
      joinMs: request.awaitJoinMs > 0 ? request.awaitJoinMs : request.rejoinMs,
      rejoinMs: request.rejoinMs,
      onState,
    });
    rooms.set(id, { media, membership });
    membership.start();
    return isAwaited ? firstJoin.then((end) => assertJoined(end, request.url)) : Promise.resolve();
  };

  link = serveParent<ToConnectionChild<RoomRequest<Setup>, In>, Record<string, never>, Event>({
    onRequest: async (message) => {
      if (message.op === 'open') await open(message.id, message.request);
      if (message.op === 'close') await close(message.id);
      return {};
    },
    onMessage: (message) => {
      if (message.op === 'message') rooms.get(message.id)?.media.handle(message.body);
      else if (message.op === 'close') void close(message.id);
    },
    onStop: async () => {
      await Promise.all([...rooms.keys()].map(close));
      await dispose();
    },
  });
}

interface JoinOptions<In, Out> {
  readonly url: string;
  readonly token: string;
  readonly media: RoomMedia<In>;
  readonly events: JoinEvents;
  readonly emit: (message: FromRoom<Out>) => void;
  readonly onToken: (token: string) => void;
}

async function joinOnce<In, Out>({
  url,
  token,
  media,
  events,
  emit,
  onToken,
}: JoinOptions<In, Out>): Promise<JoinedRoom> {
  const room = new Room();
  const present = (): void =>
    emit({ type: 'participants', identities: [...room.remoteParticipants.values()].map(({ identity }) => identity) });
  room
    .on(RoomEvent.Reconnecting, () => events.interrupted())
    .on(RoomEvent.Reconnected, () => events.restored())
    .on(RoomEvent.Disconnected, (reason: DisconnectReason) => events.lost(roomEnd(reason)))
    .on(RoomEvent.TokenRefreshed, () => onToken(room.token ?? token))
    .on(RoomEvent.ParticipantConnected, present)
    .on(RoomEvent.ParticipantDisconnected, present);
  media.prepare?.(room);
  try {
    await room.connect(url, token, {
      autoSubscribe: media.subscribes,
      dynacast: true,
      dataStream: { maxPayloadByteLength: MAX_STREAM_BYTES },
    });
  } catch (cause) {
    throw joinError(cause);
  }
  try {
    present();
    await media.joined(room);
  } catch (cause) {
    await room.disconnect().catch(() => undefined);
    throw cause;
  }
  return { leave: () => room.disconnect() };
}

function assertJoined(end: RoomEnd | undefined, url: string): void {
  if (end === undefined) return;
  const { host } = new URL(url);
  if (end === 'unreachable')
    throw new MeshError('ROOM_UNREACHABLE', `the LiveKit server ${host} cannot be joined; check that it runs`);
  throw new MeshError(
    'ROOM_REFUSED',
    `the LiveKit server ${host} ended the join (${end}); check the token: its key, its room, its expiry`,
  );
}
