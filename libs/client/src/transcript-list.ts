import type { Line } from './transcript.js';

/** Distance from its end within which a list counts as scrolled to the end, CSS pixels. */
const NEAR_END_PX = 40;

/**
 * Shows the lines of a transcript as items of a list, with their role, `open` and `cut` as classes. Items that stay the same are left alone, so that
 * a screen reader reads only what is new, and a list that the user has scrolled back stays where it is.
 */
export function showTranscript(list: HTMLElement, lines: readonly Line[]): void {
  const wasAtEnd = isAtEnd(list);
  for (const [index, line] of lines.entries()) {
    const item = list.children[index] ?? list.appendChild(document.createElement('li'));
    const classes = [line.role, line.open ? 'open' : '', line.cut ? 'cut' : ''].join(' ').trim();
    if (item.className !== classes) item.className = classes;
    if (item.textContent !== line.text) item.textContent = line.text;
  }
  while (list.children.length > lines.length) list.lastElementChild?.remove();
  if (wasAtEnd) scrollToEnd(list);
}

/** Keeps a list that is scrolled to its end there when its own height changes, for example because a message appears above it. */
export function keepAtEnd(list: HTMLElement): void {
  let wasAtEnd = true;
  list.addEventListener('scroll', () => {
    wasAtEnd = isAtEnd(list);
  });
  new ResizeObserver(() => {
    if (wasAtEnd) scrollToEnd(list);
  }).observe(list);
}

const isAtEnd = (list: HTMLElement): boolean => list.scrollHeight - list.scrollTop - list.clientHeight < NEAR_END_PX;

function scrollToEnd(list: HTMLElement): void {
  list.scrollTop = list.scrollHeight;
}
