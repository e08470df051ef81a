import type { InputProblem } from '@talkmesh/client';
import type { Banner } from './banner.js';

const TITLES: Readonly<Record<InputProblem['code'], string>> = {
  silent: 'You cannot be heard.',
  'too-quiet': 'You are hard to hear.',
  clipped: 'Your voice is distorted.',
};

/** Tells the user once when the microphone is of little use, and takes it back when it works again. */
export class InputHint {
  readonly #banner: Pick<Banner, 'show' | 'hide'>;
  #shown: InputProblem['code'] | undefined;

  constructor(banner: Pick<Banner, 'show' | 'hide'>) {
    this.#banner = banner;
  }

  /** @param isMuted the user knows why there is silence */
  show(problem: InputProblem | undefined, isMuted: boolean): void {
    const wanted = isMuted && problem?.code === 'silent' ? undefined : problem;
    if (wanted?.code === this.#shown) return;
    this.#shown = wanted?.code;
    if (wanted === undefined) this.#banner.hide();
    else this.#banner.show({ title: TITLES[wanted.code], text: wanted.text, mild: true });
  }
}
