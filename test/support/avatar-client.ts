import assert from 'node:assert/strict';
import { until } from '@talkmesh/service-kit/testing';
import { type ClientOptions, WebSocket } from 'ws';
import type { Mesh } from '../../deploy/local/src/mesh.js';

export interface Picture {
  readonly atMs: number;
  readonly timestampUs: number;
  readonly speaking: boolean;
  readonly format: 'jpeg' | 'i420';
  readonly bytes: Buffer;
}

export interface Sound {
  readonly atMs: number;
  readonly timestampUs: number;
  readonly speaking: boolean;
  readonly pcm: Int16Array;
}

export type AvatarMessage = { readonly atMs: number; readonly type: string } & Readonly<Record<string, unknown>>;

const HEADER_BYTES = 20;
const [JPEG, I420, PCM] = [1, 2, 3];
const PATIENCE_MS = 60_000;

/** A program at the avatar socket, with everything that it received. It reads the binary messages by the table in docs/avatar.md. */
export class AvatarClient implements Disposable {
  readonly messages: AvatarMessage[] = [];
  readonly pictures: Picture[] = [];
  readonly sounds: Sound[] = [];
  readonly socket: WebSocket;
  closed: { readonly code: number; readonly why: string } | undefined;

  /** @param query such as `?session=ID` */
  constructor(httpUrl: string, bearer: string, query = '', options: ClientOptions = {}) {
    const headers = { authorization: `Bearer ${bearer}` };
    this.socket = new WebSocket(`${httpUrl.replace('http', 'ws')}/v1/avatar${query}`, { ...options, headers });
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) this.#media(data as Buffer);
      else this.messages.push({ atMs: performance.now(), ...(JSON.parse(String(data)) as { type: string }) });
    });
    this.socket.on('close', (code, why) => {
      this.closed = { code, why: String(why) };
    });
    // A refused connection; `close` follows.
    this.socket.on('error', () => undefined);
  }

  /** A program that has started. @param start fields of the message */
  static async start(mesh: Pick<Mesh, 'httpUrl' | 'apiKey'>, start: object = {}): Promise<AvatarClient> {
    const client = new AvatarClient(mesh.httpUrl, mesh.apiKey);
    await client.begin(start);
    return client;
  }

  async begin(start: object = {}): Promise<AvatarMessage> {
    await until('the socket', () => this.socket.readyState === WebSocket.OPEN, PATIENCE_MS);
    this.send({ type: 'start', ...start });
    return this.next('ready');
  }

  of(type: string): AvatarMessage[] {
    return this.messages.filter((message) => message.type === type);
  }

  async next(type: string, count = 1): Promise<AvatarMessage> {
    await until(`${type} ${count}`, () => this.of(type).length >= count, PATIENCE_MS).catch((error: Error) =>
      assert.fail(`${error.message}: ${JSON.stringify(this.messages)} ${JSON.stringify(this.closed)}`),
    );
    return this.of(type)[count - 1] as AvatarMessage;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends speech at once. @param step bytes of a message */
  speak(pcm: Int16Array, step = 4800): void {
    const bytes = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
    for (let at = 0; at < bytes.length; at += step) this.socket.send(bytes.subarray(at, at + step));
  }

  /** An utterance. */
  say(pcm: Int16Array, step?: number): void {
    this.speak(pcm, step);
    this.send({ type: 'end' });
  }

  /** All audio received so far. */
  get heard(): Int16Array {
    return Int16Array.from(this.sounds.flatMap(({ pcm }) => [...pcm]));
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }

  #media(data: Buffer): void {
    const atMs = performance.now();
    const kind = data.readUInt8(0);
    const speaking = (data.readUInt8(1) & 1) === 1;
    const timestampUs = Number(data.readBigUInt64LE(8));
    const bytes = data.subarray(HEADER_BYTES);
    assert.equal(data.readUInt32LE(16), bytes.length);
    if (kind === PCM)
      this.sounds.push({ atMs, timestampUs, speaking, pcm: new Int16Array(Uint8Array.from(bytes).buffer) });
    else {
      assert.ok(kind === JPEG || kind === I420, `a message of kind ${kind}`);
      this.pictures.push({ atMs, timestampUs, speaking, format: kind === JPEG ? 'jpeg' : 'i420', bytes });
    }
  }
}
