/** The element of a button, as far as `onHold` needs it. */
export type Holdable = Pick<HTMLElement, 'addEventListener'> & Partial<Pick<HTMLElement, 'setPointerCapture'>>;

export interface HoldActions {
  begin(): void;
  end(): void;
  /** Escape was pressed, or the system took the pointer away. */
  cancel(): void;
}

/** Calls `begin` while a button is held, by pointer or by Space or Enter, and then `end` or `cancel` once. */
export function onHold(button: Holdable, { begin, end, cancel }: HoldActions): void {
  let held = false;
  const hold = (): void => {
    if (held) return;
    held = true;
    begin();
  };
  const release = (action: () => void) => (): void => {
    if (!held) return;
    held = false;
    action();
  };
  const isKey = ({ key }: KeyboardEvent): boolean => key === ' ' || key === 'Enter';
  button.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    // The pointer may leave the button while it is held.
    button.setPointerCapture?.(event.pointerId);
    hold();
  });
  button.addEventListener('pointerup', release(end));
  button.addEventListener('pointercancel', release(cancel));
  button.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') release(cancel)();
    if (!isKey(event)) return;
    event.preventDefault();
    if (!event.repeat) hold();
  });
  button.addEventListener('keyup', (event) => {
    if (isKey(event)) release(end)();
  });
  button.addEventListener('blur', release(end));
}

/** The part of `window` that `onHoldSpace` needs. */
export type KeyTarget = Pick<EventTarget, 'addEventListener'>;

/**
 * The same for the space bar, wherever the focus is.
 * @param isTaken whether the space bar means something else now, such as a space in a text
 */
export function onHoldSpace(
  page: KeyTarget,
  { begin, end, cancel }: HoldActions,
  isTaken: (event: KeyboardEvent) => boolean,
): void {
  let held = false;
  const release = (action: () => void): void => {
    if (!held) return;
    held = false;
    action();
  };
  page.addEventListener('keydown', (event) => {
    const pressed = event as KeyboardEvent;
    if (pressed.key === 'Escape') release(cancel);
    if (pressed.key !== ' ' || (!held && isTaken(pressed))) return;
    // The space bar would scroll the page.
    pressed.preventDefault();
    if (held || pressed.repeat) return;
    held = true;
    begin();
  });
  page.addEventListener('keyup', (event) => {
    if ((event as KeyboardEvent).key === ' ') release(end);
  });
  // The release of a key is not told to a window that has lost the focus.
  page.addEventListener('blur', () => release(end));
}
