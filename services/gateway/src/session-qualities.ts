import {
  QUALITIES,
  type Quality,
  type QualityTier,
  qualityTier,
  qualityTiers,
  type TieredModel,
} from '@talkmesh/contracts';
import { SessionChoices } from './session-choices.js';

/** What a deployment lets sessions choose, in its settings; empty: what the model has. */
export interface QualitySettings {
  readonly quality: string;
  readonly qualities: readonly string[];
}

/** The qualities that sessions of this deployment may have: by name, or by a size such as `3x4`. */
export class SessionQualities extends SessionChoices<QualityTier, Quality, string> {
  /** @throws MeshError CONFIG_INVALID when a setting names what the model does not have */
  constructor(model: TieredModel, { quality, qualities }: QualitySettings) {
    super(
      {
        ...{ what: 'quality', setting: 'TALKMESH_QUALITY', allowedSetting: 'TALKMESH_QUALITIES' },
        all: qualityTiers(model),
        find: (wanted) => qualityTier(model, wanted),
        nameOf: ({ name }) => name,
      },
      { wanted: quality, isSet: quality !== '', allowed: qualities },
    );
  }
}

/** As sessions and grants name a quality. */
export const QUALITY_PATTERN = new RegExp(`^(?:${QUALITIES.join('|')}|\\d{1,2}x\\d{1,2})$`);
export const QUALITY_RULE = `is ${QUALITIES.join(', ')}, or a size such as 3x4`;
