import type { Avatar } from '@talkmesh/client';
import { byId } from './elements.js';
import { showAvatar } from './living-picture.js';

const STEP: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** The cards of the avatars: a radio group, in which the arrow keys choose (ARIA Authoring Practices, radio group). */
export class Gallery {
  readonly #root = byId<HTMLDivElement>('gallery');
  readonly #onChoose: (avatar: Avatar) => void;
  #avatars: readonly Avatar[] = [];

  constructor(onChoose: (avatar: Avatar) => void) {
    this.#onChoose = onChoose;
    this.#root.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** @param chosen id of the avatar to choose; the first one when it is missing or unknown */
  show(avatars: readonly Avatar[], chosen?: string): void {
    this.#avatars = avatars;
    this.#root.replaceChildren(...avatars.map((avatar) => this.#card(avatar)));
    const selected = avatars.find(({ id }) => id === chosen) ?? avatars[0];
    if (selected !== undefined) this.#choose(selected, false);
  }

  #card(avatar: Avatar): HTMLButtonElement {
    const card = document.createElement('button');
    card.type = 'button';
    card.className = 'card';
    card.dataset['testid'] = `avatar-${avatar.id}`;
    card.setAttribute('role', 'radio');
    const picture = document.createElement('picture');
    const [source, image] = [document.createElement('source'), new Image()];
    showAvatar(source, image, avatar);
    image.alt = '';
    image.draggable = false;
    picture.append(source, image);
    const name = document.createElement('span');
    name.textContent = avatar.name;
    card.append(picture, name);
    card.addEventListener('click', () => this.#choose(avatar, false));
    return card;
  }

  #onKey(event: KeyboardEvent): void {
    const step = STEP[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = [...this.#root.children].indexOf(document.activeElement as Element);
    const next = this.#avatars[(at + step + this.#avatars.length) % this.#avatars.length];
    if (next !== undefined) this.#choose(next, true);
  }

  #choose(avatar: Avatar, focus: boolean): void {
    const index = this.#avatars.indexOf(avatar);
    [...this.#root.children].forEach((child, i) => {
      child.setAttribute('aria-checked', String(i === index));
      (child as HTMLElement).tabIndex = i === index ? 0 : -1;
      if (i === index && focus) (child as HTMLElement).focus();
    });
    this.#onChoose(avatar);
  }
}
