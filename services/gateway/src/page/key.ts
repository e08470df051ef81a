const STORED_AS = 'talkmesh.key';

interface BrowserParts {
  readonly location: Pick<Location, 'hash' | 'pathname' | 'search'>;
  readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  readonly history: Pick<History, 'replaceState'>;
}

/** The API key from `#key=...`, or else the one stored in this tab. The key is removed from the address bar, so that it is not shown or bookmarked. */
export function loadKey({ location, storage, history }: BrowserParts): string | undefined {
  const key = new URLSearchParams(location.hash.slice(1)).get('key');
  if (key === null || key === '') return storage.getItem(STORED_AS) ?? undefined;
  storage.setItem(STORED_AS, key);
  history.replaceState(null, '', location.pathname + location.search);
  return key;
}

export function keepKey(storage: BrowserParts['storage'], key: string): void {
  storage.setItem(STORED_AS, key);
}

export function forgetKey(storage: BrowserParts['storage']): void {
  storage.removeItem(STORED_AS);
}
