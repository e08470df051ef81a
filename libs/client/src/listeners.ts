/** The listeners of an object, by the name of what they listen to. */
export class Listeners<T extends { readonly [K in keyof T]: (value: never) => void }> {
  readonly #byName = new Map<keyof T, Set<T[keyof T]>>();

  /** Adds a listener; the returned function removes it. */
  on<K extends keyof T>(name: K, listener: T[K]): () => void {
    const all = this.#byName.get(name) ?? new Set<T[keyof T]>();
    this.#byName.set(name, all.add(listener));
    return () => all.delete(listener);
  }

  /** An exception in a listener is reported like an uncaught one, so that it breaks neither the object nor the other listeners. */
  emit<K extends keyof T>(name: K, value: Parameters<T[K]>[0]): void {
    for (const listener of this.#byName.get(name) ?? [])
      try {
        listener(value as never);
      } catch (error) {
        reportError(error);
      }
  }
}
