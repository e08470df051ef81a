import type { Call } from './call.js';
import { TalkMeshError } from './http.js';

export interface PushToTalkOptions {
  call(): Pick<Call, 'startInput' | 'commitInput' | 'cancelInput'> | undefined;
  /** The user began to talk, or stopped. */
  onTalking(talking: boolean): void;
  onError(error: TalkMeshError): void;
}

/** Push-to-talk of a call whose `input` is `push-to-talk`: `onHold` calls its actions. Without a call they do nothing. */
export class PushToTalk {
  readonly #options: PushToTalkOptions;
  #talking = false;
  #requests: Promise<unknown> = Promise.resolve();

  constructor(options: PushToTalkOptions) {
    this.#options = options;
  }

  get talking(): boolean {
    return this.#talking;
  }

  readonly begin = (): void => {
    if (!this.#talking) this.#turn(true, (call) => call.startInput());
  };

  readonly end = (): void => {
    if (this.#talking) this.#turn(false, (call) => call.commitInput());
  };

  readonly cancel = (): void => {
    if (this.#talking) this.#turn(false, (call) => call.cancelInput());
  };

  /** The call is over: nothing is held any more. */
  reset(): void {
    if (!this.#talking) return;
    this.#talking = false;
    this.#options.onTalking(false);
  }

  /** Requests must arrive in the order in which the user pressed and released. */
  #turn(
    talking: boolean,
    request: (call: NonNullable<ReturnType<PushToTalkOptions['call']>>) => Promise<unknown>,
  ): void {
    const call = this.#options.call();
    if (call === undefined) {
      this.reset();
      return;
    }
    this.#talking = talking;
    this.#options.onTalking(talking);
    this.#requests = this.#requests
      .then(() => request(call))
      .catch((error: unknown) => this.#options.onError(TalkMeshError.from(error)));
  }
}
