import type { Avatar } from '@talkmesh/client';
import { byId } from './elements.js';

const STEP: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

/** The cards: a group of radio buttons that arrow keys walk through (ARIA Authoring Practices, radio group). */
export class Gallery {
  private readonly root = byId<HTMLDivElement>('gallery');
  private readonly onChoose: (avatar: Avatar) => void;
  private avatars: readonly Avatar[] = [];

  constructor(onChoose: (avatar: Avatar) => void) {
    this.onChoose = onChoose;
    this.root.addEventListener('keydown', (event) => this.walk(event));
  }

  /** @param chosen id of the one to choose; the first one without it */
  show(avatars: readonly Avatar[], chosen?: string): void {
    this.avatars = avatars;
    this.root.replaceChildren(...avatars.map((avatar, index) => this.card(avatar, index)));
    const one = avatars.find(({ id }) => id === chosen) ?? avatars[0];
    if (one !== undefined) this.choose(one, false);
  }

  private card(avatar: Avatar, index: number): HTMLButtonElement {
    const card = document.createElement('button');
    card.type = 'button';
    card.className = 'card';
    card.dataset['testid'] = `avatar-${avatar.id}`;
    card.setAttribute('role', 'radio');
    const picture = new Image();
    picture.src = avatar.image;
    picture.alt = '';
    picture.className = 'alive';
    picture.draggable = false;
    // No two of them breathe in step.
    picture.style.setProperty('--phase', `${-(index * 1.37) % 7}s`);
    picture.style.setProperty('--breath', `${3.9 + ((index * 7) % 5) * 0.35}s`);
    picture.style.setProperty('--sway', `${6.4 + ((index * 5) % 7) * 0.5}s`);
    const name = document.createElement('span');
    name.textContent = avatar.name;
    card.append(picture, name);
    card.addEventListener('click', () => this.choose(avatar, false));
    return card;
  }

  private walk(event: KeyboardEvent): void {
    const step = STEP[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const at = [...this.root.children].indexOf(document.activeElement as Element);
    const next = this.avatars[(at + step + this.avatars.length) % this.avatars.length];
    if (next !== undefined) this.choose(next, true);
  }

  private choose(avatar: Avatar, focus: boolean): void {
    const index = this.avatars.indexOf(avatar);
    [...this.root.children].forEach((child, i) => {
      child.setAttribute('aria-checked', String(i === index));
      (child as HTMLElement).tabIndex = i === index ? 0 : -1;
      if (i === index && focus) (child as HTMLElement).focus();
    });
    this.onChoose(avatar);
  }
}
