import { TalkMeshError } from '@talkmesh/client';
import { type Advice, adviceFor } from './advice.js';
import { byId, show } from './elements.js';

export interface BannerAction {
  readonly label: string;
  run(): void;
}

/** The message area of the page: what happened and what the user can do. */
export class Banner {
  readonly #root = byId('banner');
  readonly #title = byId('banner-title');
  readonly #text = byId('banner-advice');
  readonly #action = byId<HTMLButtonElement>('banner-action');

  constructor() {
    byId('banner-close').addEventListener('click', () => this.hide());
  }

  showError(thrown: unknown, action?: BannerAction): void {
    this.show(adviceFor(TalkMeshError.from(thrown)), action);
  }

  show(advice: Advice, action?: BannerAction): void {
    this.#title.textContent = advice.title;
    this.#text.textContent = ` ${advice.text}`;
    this.#root.classList.toggle('mild', advice.mild);
    show(this.#action, action !== undefined);
    this.#action.textContent = action?.label ?? '';
    this.#action.onclick = (): void => {
      this.hide();
      action?.run();
    };
    show(this.#root, true);
  }

  hide(): void {
    show(this.#root, false);
  }
}
