import { TalkMeshElement } from './talk-mesh.js';

export { TalkMeshElement, type TalkMeshEvents } from './talk-mesh.js';

/** Defines `<talk-mesh>`, once. On a server, which has no elements, it does nothing. */
export function defineTalkMesh(): void {
  const { customElements } = globalThis;
  if (customElements?.get('talk-mesh') === undefined) customElements?.define('talk-mesh', TalkMeshElement);
}

declare global {
  interface HTMLElementTagNameMap {
    'talk-mesh': TalkMeshElement;
  }
}
