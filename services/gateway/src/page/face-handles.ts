import type { OfFace, Point } from '@talkmesh/client';

/** The square of the picture that is shown, in pixels of the picture. */
export interface PictureArea {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

export type Part = keyof OfFace<Point>;
export const PARTS: readonly Part[] = ['mouth', 'leftEye', 'rightEye'];
const NAMES: OfFace<string> = {
  mouth: 'Mouth',
  leftEye: 'Left eye, as you see it',
  rightEye: 'Right eye, as you see it',
};
/** How far an arrow key moves a handle, without and with Shift, as shares of the shown square. */
const STEP = 0.005;
const SHIFT_STEP = 0.04;
const KEYS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Where mouth and eyes usually are, as shares of the square. */
export const DEFAULT_MARKS: OfFace<Point> = { mouth: [0.5, 0.66], leftEye: [0.39, 0.475], rightEye: [0.61, 0.475] };

const clampToUnit = (share: number): number => Math.min(Math.max(share, 0), 1);

/** Three handles over a picture, moved by pointer or arrow keys. Positions go in and out in pixels of the picture. */
export class FaceHandles {
  readonly #root: HTMLElement;
  readonly #onMoved: () => void;
  readonly #handles: Readonly<Record<Part, HTMLButtonElement>>;
  readonly #places: Record<Part, Point> = { ...DEFAULT_MARKS };
  #shown: PictureArea = { left: 0, top: 0, side: 1 };

  constructor(root: HTMLElement, onMoved: () => void) {
    this.#root = root;
    this.#onMoved = onMoved;
    this.#handles = {
      mouth: this.#createHandle('mouth'),
      leftEye: this.#createHandle('leftEye'),
      rightEye: this.#createHandle('rightEye'),
    };
  }

  /** @param at in pixels of the picture; a handle goes to its usual place when this is undefined */
  place(shown: PictureArea, at: OfFace<Point> | undefined): void {
    this.#shown = shown;
    for (const part of PARTS) {
      const [x, y] = at?.[part] ?? [];
      this.#places[part] =
        x === undefined || y === undefined
          ? DEFAULT_MARKS[part]
          : [(x - shown.left) / shown.side, (y - shown.top) / shown.side];
      this.#draw(part);
    }
  }

  /** Positions of the handles, in pixels of the picture. */
  get landmarks(): OfFace<Point> {
    const { left, top, side } = this.#shown;
    const at = (part: Part): Point => [left + this.#places[part][0] * side, top + this.#places[part][1] * side];
    return { mouth: at('mouth'), leftEye: at('leftEye'), rightEye: at('rightEye') };
  }

  enable(enabled: boolean): void {
    for (const part of PARTS) this.#handles[part].disabled = !enabled;
  }

  #createHandle(part: Part): HTMLButtonElement {
    const handle = document.createElement('button');
    handle.type = 'button';
    handle.className = `handle ${part === 'mouth' ? 'wide' : ''}`.trim();
    handle.dataset['testid'] = `handle-${part}`;
    handle.setAttribute('aria-describedby', 'picture-help');
    handle.addEventListener('keydown', (event) => this.#onKey(part, event));
    handle.addEventListener('pointerdown', (event) => this.#drag(part, event));
    this.#root.append(handle);
    return handle;
  }

  #onKey(part: Part, event: KeyboardEvent): void {
    const direction = KEYS[event.key];
    if (direction === undefined) return;
    event.preventDefault();
    const step = event.shiftKey ? SHIFT_STEP : STEP;
    const [x, y] = this.#places[part];
    this.#move(part, [x + direction[0] * step, y + direction[1] * step]);
  }

  #drag(part: Part, event: PointerEvent): void {
    const handle = this.#handles[part];
    if (event.button !== 0 || handle.disabled) return;
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const box = this.#root.getBoundingClientRect();
    const [x, y] = this.#places[part];
    const grip: Point = [event.clientX - box.left - x * box.width, event.clientY - box.top - y * box.height];
    const follow = ({ clientX, clientY }: PointerEvent): void =>
      this.#move(part, [(clientX - box.left - grip[0]) / box.width, (clientY - box.top - grip[1]) / box.height]);
    const drop = (): void => {
      handle.removeEventListener('pointermove', follow);
      handle.removeEventListener('pointerup', drop);
      handle.removeEventListener('pointercancel', drop);
    };
    handle.addEventListener('pointermove', follow);
    handle.addEventListener('pointerup', drop);
    handle.addEventListener('pointercancel', drop);
  }

  #move(part: Part, [x, y]: Point): void {
    this.#places[part] = [clampToUnit(x), clampToUnit(y)];
    this.#draw(part);
    this.#onMoved();
  }

  #draw(part: Part): void {
    const [x, y] = this.#places[part];
    const { style } = this.#handles[part];
    style.left = `${100 * x}%`;
    style.top = `${100 * y}%`;
    const percent = (share: number): string => `${Math.round(100 * share)} %`;
    this.#handles[part].setAttribute(
      'aria-label',
      `${NAMES[part]}: ${percent(x)} from the left, ${percent(y)} from the top`,
    );
  }
}
