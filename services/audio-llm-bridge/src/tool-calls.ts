import { type EventBody, MeshError } from '@talkmesh/contracts';
import type { ToolCall, ToolResult } from './providers/provider.js';

export interface ToolCallsOptions {
  readonly deadlineMs: number;
  /** Sends an event to the embedding product. */
  readonly tell: (body: EventBody) => void;
  /** Gives the model the result. */
  readonly answer: (result: ToolResult) => void;
}

const MAX_OPEN_CALLS = 16;
const MAX_ARGUMENT_CHARACTERS = 10_000;
const MAX_OUTPUT_CHARACTERS = 20_000;
const MAX_ID_CHARACTERS = 200;

/** The tool calls of one session that wait for an answer. Each is answered once, at the latest at its deadline. */
export class ToolCalls implements Disposable {
  readonly #options: ToolCallsOptions;
  readonly #open = new Map<string, NodeJS.Timeout>();

  constructor(options: ToolCallsOptions) {
    this.#options = options;
  }

  begin(call: ToolCall): void {
    const { deadlineMs } = this.#options;
    const refusal = this.#refusalOf(call);
    if (refusal !== undefined) {
      this.#options.answer({ id: call.id, output: failure(refusal) });
      return;
    }
    const expire = (): void => {
      this.#finish(call.id, 'expired');
      const seconds = deadlineMs / 1000;
      this.#options.answer({ id: call.id, output: failure(`The application did not answer within ${seconds} s.`) });
    };
    this.#open.set(call.id, setTimeout(expire, deadlineMs));
    const { id: callId, name, arguments: given } = call;
    this.#options.tell({ type: 'tool.call', callId, name, arguments: given, deadlineMs });
  }

  /** @throws MeshError NOT_FOUND, ARGUMENT_INVALID */
  answer({ id, output }: ToolResult): void {
    if (output.length > MAX_OUTPUT_CHARACTERS)
      throw new MeshError(
        'ARGUMENT_INVALID',
        `The result has ${output.length} characters. Send at most ${MAX_OUTPUT_CHARACTERS}.`,
      );
    if (!this.#open.has(id))
      throw new MeshError(
        'NOT_FOUND',
        'No tool call with this id waits for an answer. It was answered or cancelled, or its deadline has passed.',
      );
    this.#finish(id, 'answered');
    this.#options.answer({ id, output });
  }

  /** The model no longer waits. */
  cancel(id: string): void {
    if (this.#open.has(id)) this.#finish(id, 'cancelled');
  }

  [Symbol.dispose](): void {
    for (const timer of this.#open.values()) clearTimeout(timer);
    this.#open.clear();
  }

  #refusalOf({ id, arguments: given }: ToolCall): string | undefined {
    if (this.#open.size >= MAX_OPEN_CALLS) return `${MAX_OPEN_CALLS} calls already wait for an answer.`;
    if (given.length > MAX_ARGUMENT_CHARACTERS)
      return `The arguments have more than ${MAX_ARGUMENT_CHARACTERS} characters.`;
    return id.length > MAX_ID_CHARACTERS ? 'The id of the call is too long.' : undefined;
  }

  #finish(callId: string, outcome: 'answered' | 'expired' | 'cancelled'): void {
    clearTimeout(this.#open.get(callId));
    this.#open.delete(callId);
    this.#options.tell({ type: 'tool.finished', callId, outcome });
  }
}

const failure = (error: string): string => JSON.stringify({ error });
