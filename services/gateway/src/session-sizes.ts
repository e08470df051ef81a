import { MeshError, type PictureSize, pictureSize, pictureSizes, type SizedPictures } from '@talkmesh/contracts';

/** What a deployment lets sessions choose, in its settings: widths in pixels. */
export interface SizeSettings {
  /** 0: the model's own. */
  readonly size: number;
  /** Empty: what the model has. */
  readonly sizes: readonly number[];
}

/** The sizes of video that sessions of this deployment may have. */
export class SessionSizes {
  readonly choices: readonly PictureSize[];
  readonly default: number;
  readonly #model: SizedPictures;

  /** @throws MeshError CONFIG_INVALID when a setting names what the model does not have */
  constructor(model: SizedPictures, { size, sizes }: SizeSettings) {
    const named = (setting: string, wanted: number): number => {
      try {
        return pictureSize(model, wanted).size;
      } catch (thrown) {
        throw new MeshError('CONFIG_INVALID', `${setting}: ${MeshError.from(thrown).message}`);
      }
    };
    this.#model = model;
    const allowed = sizes.map((wanted) => named('TALKMESH_SIZES', wanted));
    this.choices = pictureSizes(model).filter((choice) => allowed.length === 0 || allowed.includes(choice.size));
    const wanted = named('TALKMESH_SIZE', size);
    const isAllowed = this.choices.some((choice) => choice.size === wanted);
    if (size !== 0 && !isAllowed)
      throw new MeshError('CONFIG_INVALID', `TALKMESH_SIZE=${size} is not among TALKMESH_SIZES`);
    this.default = isAllowed ? wanted : (this.choices[0]?.size ?? wanted);
  }

  /**
   * @param wanted width, pixels; undefined: the deployment's
   * @throws MeshError ARGUMENT_INVALID for one that the model does not make, PERMISSION_DENIED for one that the deployment does not allow
   */
  choose(wanted: number | undefined): number {
    const { size } = pictureSize(this.#model, wanted ?? this.default);
    if (this.choices.some((choice) => choice.size === size)) return size;
    const allowed = this.choices.map((choice) => choice.size).join(', ');
    throw new MeshError('PERMISSION_DENIED', `this deployment does not allow the size ${size}; choose ${allowed}`);
  }
}
