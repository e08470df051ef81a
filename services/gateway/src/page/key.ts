const STORED_AS = 'talkmesh.key';

interface Surroundings {
  readonly location: Pick<Location, 'hash' | 'pathname' | 'search'>;
  readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  readonly history: Pick<History, 'replaceState'>;
}

/** The API key of `#key=...`, which is taken out of the address bar at once, or the one this tab had before. */
export function takeKey({ location, storage, history }: Surroundings): string | undefined {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (key === null || key === '') return storage.getItem(STORED_AS) ?? undefined;
  storage.setItem(STORED_AS, key);
  history.replaceState(null, '', location.pathname + location.search);
  return key;
}

export function keepKey(storage: Surroundings['storage'], key: string): void {
  storage.setItem(STORED_AS, key);
}

export function forgetKey(storage: Surroundings['storage']): void {
  storage.removeItem(STORED_AS);
}
