import type { FetchLike } from '../http.js';
import type { CallEvent } from '../types.js';

export const SESSION = '0123456789abcdefghjk';

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An unsigned JWT, which is enough because the client does not verify tokens. */
export function fakeToken(lifeS: number, sub = SESSION, name = ''): string {
  const iat = 1_800_000_000;
  return `${encoded({ alg: 'HS256' })}.${encoded({ sub, iat, exp: iat + lifeS, name })}.x`;
}

export function problem(status: number, reason: string, extra: object = {}): Response {
  return new Response(JSON.stringify({ status, reason, detail: `about ${reason}`, ...extra }), {
    status,
    headers: { 'content-type': 'application/problem+json' },
  });
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly bearer: string | undefined;
  readonly body: string | undefined;
  readonly lastEventId: string | undefined;
}

type Handler = (seen: Seen) => Response | Promise<Response>;

/** A gateway in memory. Routes are keyed by "METHOD /path", requests are recorded, and the test sends the events. */
export class FakeGateway {
  readonly seen: Seen[] = [];
  readonly routes = new Map<string, Handler>();
  readonly #feeds = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #events = 0;

  constructor() {
    const sdp = (location: string) => () =>
      new Response('v=0\r\nanswer', { status: 201, headers: { 'content-type': 'application/sdp', location } });
    this.routes.set('POST /v1/sessions', () =>
      Response.json({ session: { id: SESSION }, token: fakeToken(600), tokenExpiresAtMs: 0 }, { status: 201 }),
    );
    this.routes.set(`POST /v1/whep/${SESSION}`, sdp(`/v1/whep/${SESSION}/r1`));
    this.routes.set(`POST /v1/whip/${SESSION}`, sdp(`/v1/whip/${SESSION}/r2`));
    this.routes.set(`GET /v1/sessions/${SESSION}/events`, () => this.#openFeed());
    for (const path of [`sessions/${SESSION}`, `whep/${SESSION}/r1`, `whip/${SESSION}/r2`])
      this.routes.set(`DELETE /v1/${path}`, () => new Response(null, { status: 204 }));
  }

  readonly fetch: FetchLike = async (input, init) => {
    const url = new URL(input);
    const headers = new Headers(init?.headers);
    const seen: Seen = {
      method: init?.method ?? 'GET',
      path: url.pathname,
      bearer: headers.get('authorization')?.replace('Bearer ', ''),
      body: typeof init?.body === 'string' ? init.body : undefined,
      lastEventId: headers.get('last-event-id') ?? undefined,
    };
    this.seen.push(seen);
    const route = this.routes.get(`${seen.method} ${seen.path}`);
    if (route === undefined) return problem(404, 'NOT_FOUND');
    const answer = Promise.resolve(route(seen));
    const signal = init?.signal;
    if (!signal) return answer;
    const aborted = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener('abort', () => {
        for (const feed of this.#feeds) this.#drop(feed);
        reject(signal.reason);
      });
    });
    return Promise.race([answer, aborted]);
  };

  paths(method: string): string[] {
    return this.seen.filter((seen) => seen.method === method).map((seen) => seen.path);
  }

  /** Sends an event on every open feed. */
  event(event: { type: string } & Record<string, unknown>): void {
    this.#events += 1;
    const envelope = { v: 2, id: `fake.${this.#events}`, sessionId: SESSION, epoch: 0, turn: 1, atMs: 1 };
    const full = { ...envelope, ...event } as unknown as CallEvent;
    const bytes = new TextEncoder().encode(`event: ${event.type}\ndata: ${JSON.stringify(full)}\n\n: heartbeat\n\n`);
    for (const feed of this.#feeds) feed.enqueue(bytes);
  }

  get openFeeds(): number {
    return this.#feeds.size;
  }

  breakFeeds(): void {
    for (const feed of this.#feeds) this.#drop(feed);
  }

  #drop(feed: ReadableStreamDefaultController<Uint8Array>): void {
    this.#feeds.delete(feed);
    feed.close();
  }

  #openFeed(): Response {
    const body = new ReadableStream<Uint8Array>({ start: (feed) => void this.#feeds.add(feed) });
    return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } });
  }
}

export class FakeTrack extends EventTarget {
  enabled = true;
  stopped = false;
  /** By the system. */
  muted = false;
  readonly kind: 'audio' | 'video';

  constructor(kind: 'audio' | 'video') {
    super();
    this.kind = kind;
  }

  tell(type: 'ended' | 'mute' | 'unmute'): void {
    this.muted = type === 'mute';
    this.dispatchEvent(new Event(type));
  }

  stop(): void {
    this.stopped = true;
  }
}

export class FakeStream {
  readonly tracks: FakeTrack[];

  constructor(tracks: FakeTrack[] = []) {
    this.tracks = tracks;
  }

  getTracks(): FakeTrack[] {
    return [...this.tracks];
  }
  getAudioTracks(): FakeTrack[] {
    return this.tracks.filter((track) => track.kind === 'audio');
  }
  addTrack(track: FakeTrack): void {
    this.tracks.push(track);
  }
  removeTrack(track: FakeTrack): void {
    this.tracks.splice(this.tracks.indexOf(track), 1);
  }
}

/** The devices of a browser, by id; `''` is the one that the system uses. Opening one that is not listed fails as in a browser. */
export class FakeDevices extends EventTarget {
  readonly opened: FakeTrack[] = [];
  ids: string[];

  constructor(...ids: string[]) {
    super();
    this.ids = ids;
  }

  async getUserMedia({ audio }: MediaStreamConstraints): Promise<MediaStream> {
    const wanted = (audio as { deviceId?: { exact: string } }).deviceId?.exact ?? this.ids[0];
    if (!this.ids.includes(wanted ?? '')) throw Object.assign(new Error('no'), { name: 'OverconstrainedError' });
    const track = new FakeTrack('audio');
    this.opened.push(track);
    return new FakeStream([track]) as unknown as MediaStream;
  }

  async enumerateDevices(): Promise<MediaDeviceInfo[]> {
    const kinds = ['audioinput', 'audiooutput'] as const;
    return kinds.flatMap((kind) =>
      ['default', ...this.ids].map((deviceId) => ({ kind, deviceId, label: '' }) as MediaDeviceInfo),
    );
  }

  /** Devices were connected or removed. */
  become(...ids: string[]): void {
    this.ids = ids;
    this.dispatchEvent(new Event('devicechange'));
  }
}

/** An RTCPeerConnection without a network. It connects when the answer is set, unless `connects` is false. */
export class FakePeer extends EventTarget {
  static made: FakePeer[] = [];
  static connects = true;
  connectionState: RTCPeerConnectionState = 'new';
  iceGatheringState: RTCIceGatheringState = 'new';
  localDescription: { sdp: string } | null = null;
  readonly transceivers: { what: unknown; direction: string | undefined }[] = [];

  readonly configuration: RTCConfiguration;

  constructor(configuration: RTCConfiguration) {
    super();
    this.configuration = configuration;
    FakePeer.made.push(this);
  }

  addTransceiver(what: unknown, init?: RTCRtpTransceiverInit): void {
    this.transceivers.push({ what, direction: init?.direction });
  }

  getSenders(): { track: unknown; replaceTrack(track: unknown): Promise<void> }[] {
    return this.transceivers
      .filter(({ direction }) => direction === 'sendonly')
      .map((transceiver) => ({
        track: transceiver.what,
        replaceTrack: async (track) => {
          transceiver.what = track;
        },
      }));
  }

  async createOffer(): Promise<{ type: 'offer'; sdp: string }> {
    return { type: 'offer', sdp: 'v=0\r\noffer without candidates' };
  }

  async setLocalDescription(offer: { sdp: string }): Promise<void> {
    this.localDescription = offer;
    queueMicrotask(() => {
      this.localDescription = { sdp: `${offer.sdp}\r\na=candidate` };
      this.iceGatheringState = 'complete';
      this.dispatchEvent(new Event('icegatheringstatechange'));
    });
  }

  async setRemoteDescription(answer: { sdp: string }): Promise<void> {
    if (!answer.sdp.startsWith('v=0')) throw new Error('not an answer');
    for (const { what } of this.transceivers)
      if (typeof what === 'string')
        this.dispatchEvent(Object.assign(new Event('track'), { track: new FakeTrack(what as 'audio') }));
    if (FakePeer.connects) this.become('connected');
  }

  async getStats(): Promise<Map<string, unknown>> {
    return new Map([['v', { type: 'inbound-rtp', kind: 'video', framesDecoded: 7, packetsLost: 2 }]]);
  }

  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event('connectionstatechange'));
  }

  close(): void {
    this.connectionState = 'closed';
  }
}

/** Waits until `isTrue` returns true. @throws Error after two seconds */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i += 1) {
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`not reached within two seconds: ${what}`);
}
