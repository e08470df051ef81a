import { type Message, Messages, TalkMeshError } from '@talkmesh/client';
import { adviceFor } from './advice.js';
import { byId, show } from './elements.js';

export interface BannerAction {
  readonly label: string;
  run(): void;
}

/** What a message is about; each has at most one. `Messages` decides which is shown. */
export type BannerSource = 'page' | 'call' | 'input' | 'connection' | 'recovery';

interface ShownMessage extends Message {
  readonly action?: BannerAction | undefined;
}

/** The message area of the page: what happened and what the user can do. */
export class Banner {
  readonly #root = byId('banner');
  readonly #title = byId('banner-title');
  readonly #text = byId('banner-advice');
  readonly #action = byId<HTMLButtonElement>('banner-action');
  readonly #messages = new Messages<ShownMessage>((message) => this.#render(message));
  #run: (() => void) | undefined;

  constructor() {
    byId('banner-close').addEventListener('click', () => this.#messages.dismiss());
    this.#action.addEventListener('click', () => {
      const run = this.#run;
      this.#messages.dismiss();
      run?.();
    });
  }

  showError(source: BannerSource, thrown: unknown, action?: BannerAction): void {
    this.show(source, adviceFor(TalkMeshError.from(thrown)), action);
  }

  show(source: BannerSource, message: Message, action?: BannerAction): void {
    this.#messages.put(source, { ...message, action });
  }

  /** The trouble is over. */
  withdraw(...sources: BannerSource[]): void {
    for (const source of sources) this.#messages.put(source, undefined);
  }

  #render(message: ShownMessage | undefined): void {
    show(this.#root, message !== undefined);
    if (message === undefined) return;
    this.#title.textContent = message.title;
    this.#text.textContent = ` ${message.text}`;
    this.#root.classList.toggle('mild', message.mild);
    this.#run = message.action?.run;
    this.#action.textContent = message.action?.label ?? '';
    show(this.#action, message.action !== undefined);
  }
}
