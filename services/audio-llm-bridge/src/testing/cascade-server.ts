/** The three OpenAI-compatible endpoints of a cascade on a real socket, typed by the official client, with the failures of real ones. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeWav } from '@talkmesh/media';
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources/chat/completions';
import { tone } from './tone.js';

export type CascadeStep = 'transcriptions' | 'completions' | 'speech';

export interface ChatScript {
  readonly text?: string;
  readonly tools?: readonly { readonly id?: string; readonly name: string; readonly arguments: string }[];
  /** Wait between words, milliseconds. */
  readonly paceMs?: number;
  /** Ends the connection after this many words. */
  readonly cutAfter?: number;
  /** Sends this line after the first word. */
  readonly malformed?: string;
  /** Stays silent after this many words. */
  readonly stallAfter?: number;
}

export interface CascadeTestServerOptions {
  readonly transcripts?: readonly string[];
  readonly chat?: (n: number) => ChatScript;
  readonly format?: 'pcm' | 'wav';
  readonly rateHz?: number;
  /** Milliseconds of speech for each character. */
  readonly characterMs?: number;
  /** Wait between pieces of speech, milliseconds; by default as fast as possible. */
  readonly speechPaceMs?: number;
  readonly key?: string;
}

export interface Refusal {
  readonly status: number;
  readonly body: object;
}

export class CascadeTestServer implements AsyncDisposable {
  readonly requests: {
    readonly step: CascadeStep;
    readonly authorization: string | undefined;
    readonly body: string;
  }[] = [];
  /** Requests that the client ended before the answer was complete. */
  readonly aborted: CascadeStep[] = [];
  /** Refusals of the next requests, by step. */
  readonly refusals: Partial<Record<CascadeStep, Refusal[]>> = {};
  readonly #options: CascadeTestServerOptions;
  readonly #http: Server;
  #chats = 0;
  #heard = 0;

  private constructor(options: CascadeTestServerOptions) {
    this.#options = options;
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(options: CascadeTestServerOptions = {}): Promise<CascadeTestServer> {
    const server = new CascadeTestServer(options);
    await new Promise<void>((resolve) => server.#http.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1`;
  }

  /** Bodies of the chat requests. */
  get chats(): ChatCompletionCreateParamsStreaming[] {
    return this.requests
      .filter(({ step }) => step === 'completions')
      .map(({ body }) => JSON.parse(body) as ChatCompletionCreateParamsStreaming);
  }

  /** Texts that were spoken. */
  get spoken(): string[] {
    const bodies = this.requests.filter(({ step }) => step === 'speech').map(({ body }) => body);
    return bodies.map((body) => (JSON.parse(body) as { input: string }).input);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const step = request.url?.split('/').at(-1) as CascadeStep;
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { authorization } = request.headers;
    this.requests.push({ step, authorization, body: Buffer.concat(parts).toString('latin1') });
    response.once('close', () => {
      if (!response.writableFinished) this.aborted.push(step);
    });
    const { key } = this.#options;
    const wrongKey = {
      status: 401,
      body: { error: { code: 'invalid_api_key', message: 'Incorrect API key provided' } },
    };
    const refusal =
      this.refusals[step]?.shift() ?? (key === undefined || authorization === `Bearer ${key}` ? undefined : wrongKey);
    if (refusal !== undefined) {
      response.writeHead(refusal.status, { 'content-type': 'application/json' }).end(JSON.stringify(refusal.body));
    } else if (step === 'transcriptions') this.#transcribe(response);
    else if (step === 'completions') await this.#chat(response);
    else await this.#speak(response, (JSON.parse(this.requests.at(-1)?.body ?? '') as { input: string }).input);
  }

  #transcribe(response: ServerResponse): void {
    const text = this.#options.transcripts?.[this.#heard] ?? 'Hello';
    this.#heard += 1;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ text }));
  }

  async #chat(response: ServerResponse): Promise<void> {
    const script = this.#options.chat?.(this.#chats) ?? {};
    this.#chats += 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (delta: ChatCompletionChunk.Choice.Delta, finish_reason: 'stop' | null = null): void => {
      const head = { id: 'chat-1', object: 'chat.completion.chunk', created: 1, model: 'm' } as const;
      const chunk: ChatCompletionChunk = { ...head, choices: [{ index: 0, delta, finish_reason }] };
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    const words = (script.text ?? '').split(/(?<=\s)/);
    for (const [i, content] of words.entries()) {
      if (response.destroyed) return;
      if (i === script.cutAfter) return void response.destroy();
      if (i === script.stallAfter) return;
      if (content !== '') send({ content });
      if (i === 0 && script.malformed !== undefined) response.write(script.malformed);
      await sleep(script.paceMs ?? 0);
    }
    for (const [index, tool] of (script.tools ?? []).entries()) {
      const half = Math.floor(tool.arguments.length / 2);
      const called = { name: tool.name, arguments: tool.arguments.slice(0, half) };
      send({ tool_calls: [{ index, ...(tool.id && { id: tool.id }), type: 'function', function: called }] });
      send({ tool_calls: [{ index, function: { arguments: tool.arguments.slice(half) } }] });
    }
    send({}, 'stop');
    response.end('data: [DONE]\n\n');
  }

  async #speak(response: ServerResponse, input: string): Promise<void> {
    const { format = 'pcm', rateHz = 24_000, characterMs = 50, speechPaceMs } = this.#options;
    const pcm = tone(300, input.length * characterMs, 6000).slice(0, (input.length * characterMs * rateHz) / 1000);
    const bytes = format === 'wav' ? encodeWav(pcm, rateHz) : new Uint8Array(pcm.buffer);
    response.writeHead(200, { 'content-type': `audio/${format}` });
    // An odd length, so that pieces end in the middle of a sample.
    for (let at = 0; at < bytes.length && !response.destroyed; at += 9601) {
      response.write(bytes.subarray(at, at + 9601));
      await sleep(speechPaceMs ?? 0);
    }
    response.end();
  }
}
