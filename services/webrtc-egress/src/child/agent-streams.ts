import type { ByteStreamReader, LocalParticipant, Room, RpcInvocationData } from '@livekit/rtc-node';
import type { AgentReport, FromAgent } from '../agent-messages.js';

const AUDIO_TOPIC = 'lk.audio_stream';
const CLEAR_METHOD = 'lk.clear_buffer';
/** RPC errors after which there is no second call: the agent does not know the method, is not in the room, received it and does not answer, or left. */
const FINAL_CODES = new Set([1400, 1401, 1502, 1503]);
/** How long the agent may take to answer, milliseconds: the next report waits for it. */
const ANSWER_MS = 5000;

/**
 * The avatar's side of the protocol between LiveKit Agents and its avatars, in one room: the byte streams and calls of the agent in, reports out.
 * Other participants are not listened to.
 */
export class AgentStreams {
  readonly #agent: string;
  readonly #emit: (message: FromAgent) => void;
  #local: LocalParticipant | undefined;
  #reporting: Promise<void> = Promise.resolve();

  constructor(agent: string, emit: (message: FromAgent) => void) {
    this.#agent = agent;
    this.#emit = emit;
  }

  /** Called before the join: the agent may send at once. */
  listen(room: Room): void {
    room.registerByteStreamHandler(AUDIO_TOPIC, (reader, { identity }) => {
      // A stream that is not read would stay in memory.
      if (identity === this.#agent) void this.#read(reader);
      else void reader.close();
    });
  }

  joined(local: LocalParticipant): void {
    this.#local = local;
    local.registerRpcMethod(CLEAR_METHOD, async ({ callerIdentity }: RpcInvocationData) => {
      if (callerIdentity !== this.#agent) return 'reject';
      this.#emit({ type: 'clear' });
      return 'ok';
    });
  }

  /** Calls the agent, one call after the other. */
  report(report: AgentReport): void {
    this.#reporting = this.#reporting.then(() => this.#call(report));
  }

  async #read(reader: ByteStreamReader): Promise<void> {
    const { streamId: stream, attributes } = reader.info;
    const [rateHz, channels] = [Number(attributes?.['sample_rate']), Number(attributes?.['num_channels'])];
    this.#emit({ type: 'opened', stream, rateHz, channels });
    let complete = true;
    try {
      for await (const bytes of reader) this.#emit({ type: 'audio', stream, bytes });
    } catch {
      // The agent left the room with the stream open, or sent more than the library takes.
      complete = false;
    }
    this.#emit({ type: 'closed', stream, complete });
  }

  async #call({ method, payload }: AgentReport): Promise<void> {
    for (const isLast of [false, true])
      try {
        await this.#local?.performRpc({
          destinationIdentity: this.#agent,
          method,
          payload,
          responseTimeout: ANSWER_MS,
        });
        return;
      } catch (thrown) {
        const { code, message } = thrown as { readonly code?: number; readonly message?: string };
        if (!isLast && !FINAL_CODES.has(code ?? 0)) continue;
        this.#emit({ type: 'unanswered', method, why: `${code ?? ''} ${message ?? ''}`.trim() });
        return;
      }
  }
}
