import {
  balancedTier,
  MeshError,
  QUALITIES,
  type Quality,
  type QualityTier,
  qualityTier,
  qualityTiers,
  type TieredModel,
} from '@talkmesh/contracts';

/** What a deployment lets sessions choose, in its settings; empty: what the model has. */
export interface QualitySettings {
  readonly quality: string;
  readonly qualities: readonly string[];
}

/** The qualities that sessions of this deployment may have. */
export class SessionQualities {
  readonly choices: readonly QualityTier[];
  readonly default: Quality;
  readonly #model: TieredModel;

  /** @throws MeshError CONFIG_INVALID when a setting names what the model does not have */
  constructor(model: TieredModel, { quality, qualities }: QualitySettings) {
    const named = (setting: string, wanted: string): QualityTier => {
      try {
        return qualityTier(model, wanted);
      } catch (thrown) {
        throw new MeshError('CONFIG_INVALID', `${setting}: ${MeshError.from(thrown).message}`);
      }
    };
    this.#model = model;
    const allowed = qualities.map((wanted) => named('TALKMESH_QUALITIES', wanted).name);
    this.choices = qualityTiers(model).filter(({ name }) => allowed.length === 0 || allowed.includes(name));
    const wanted = named('TALKMESH_QUALITY', quality).name;
    const first = this.choices.some(({ name }) => name === wanted) ? wanted : this.choices[0]?.name;
    if (quality !== '' && first !== wanted)
      throw new MeshError('CONFIG_INVALID', `TALKMESH_QUALITY=${quality} is not among TALKMESH_QUALITIES`);
    this.default = first ?? balancedTier(model).name;
  }

  /**
   * @param wanted a name, or a size such as `3x4`; undefined: the deployment's
   * @throws MeshError ARGUMENT_INVALID for one that the model does not have, PERMISSION_DENIED for one that the deployment does not allow
   */
  choose(wanted: string | undefined): Quality {
    const { name } = qualityTier(this.#model, wanted ?? this.default);
    if (this.choices.some((choice) => choice.name === name)) return name;
    const allowed = this.choices.map((choice) => choice.name).join(', ');
    throw new MeshError('PERMISSION_DENIED', `this deployment does not allow the quality ${name}; choose ${allowed}`);
  }
}

/** As sessions and grants name a quality. */
export const QUALITY_PATTERN = new RegExp(`^(?:${QUALITIES.join('|')}|\\d{1,2}x\\d{1,2})$`);
export const QUALITY_RULE = `is ${QUALITIES.join(', ')}, or a size such as 3x4`;
