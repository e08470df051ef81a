import { MeshError } from '@talkmesh/contracts';
import { external } from './external.js';
import { parrot } from './parrot.js';
import type { Provider } from './provider.js';

export const PROVIDER_NAMES = ['parrot', 'external'] as const;
export type ProviderName = (typeof PROVIDER_NAMES)[number];

export interface ProviderSettings {
  readonly parrotSemitones: number;
}

/** @throws MeshError PROVIDER_UNKNOWN naming the providers there are */
export function findProvider(name: string, settings: ProviderSettings): Provider {
  if (name === 'parrot') return parrot({ semitones: settings.parrotSemitones });
  if (name === 'external') return external;
  throw new MeshError(
    'PROVIDER_UNKNOWN',
    `there is no conversation provider "${name.slice(0, 40)}"; use one of: ${PROVIDER_NAMES.join(', ')}`,
  );
}
