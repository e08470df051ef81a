import { type PictureSize, pictureSize, pictureSizes, type SizedPictures } from '@talkmesh/contracts';
import { SessionChoices } from './session-choices.js';

/** What a deployment lets sessions choose, in its settings: widths in pixels. */
export interface SizeSettings {
  /** 0: the model's own. */
  readonly size: number;
  /** Empty: what the model has. */
  readonly sizes: readonly number[];
}

/** The sizes of video that sessions of this deployment may have, by width in pixels. */
export class SessionSizes extends SessionChoices<PictureSize, number> {
  /** @throws MeshError CONFIG_INVALID when a setting names what the model does not have */
  constructor(model: SizedPictures, { size, sizes }: SizeSettings) {
    super(
      {
        ...{ what: 'size', setting: 'TALKMESH_SIZE', allowedSetting: 'TALKMESH_SIZES' },
        all: pictureSizes(model),
        find: (wanted) => pictureSize(model, wanted),
        nameOf: (choice) => choice.size,
      },
      { wanted: size, isSet: size !== 0, allowed: sizes },
    );
  }
}
