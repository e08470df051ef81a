import { MeshError } from '@talkmesh/contracts';
import { v1 } from '@talkmesh/contracts/protos';
import { landmarksOf, type PortraitFinder } from '@talkmesh/inference';
import { type GrpcServiceImpl, unary } from '@talkmesh/service-kit';

type Inspect = (typeof v1.PictureService)['service']['InspectPicture'];
type InspectRequest = ReturnType<Inspect['requestDeserialize']>;
type InspectResponse = ReturnType<Inspect['responseDeserialize']>;

/** Inspections at the same time. They share the device with the sessions, which must not starve. */
const MAX_AT_ONCE = 4;

/** talkmesh.v1.PictureService. Pictures are neither kept nor logged. */
export function pictureService(finder: Pick<PortraitFinder, 'find' | 'assess'> | undefined): GrpcServiceImpl {
  let active = 0;
  const inspect = async ({ rgb, landmarks }: InspectRequest): Promise<InspectResponse> => {
    if (finder === undefined)
      throw new MeshError('TOOL_MISSING', 'this model has no portrait finder: give landmarks, they are not checked');
    if (active >= MAX_AT_ONCE)
      throw new MeshError('RATE_LIMITED', 'too many pictures are being inspected; try again in a moment');
    const given = landmarks.length === 0 ? undefined : landmarksOf(landmarks);
    active += 1;
    try {
      const finding = await finder.find(rgb);
      const { found, fits, reasons } = finder.assess(finding, given);
      return {
        landmarks: finding.landmarks.flat(),
        kinds: { ...finding.kinds },
        confidence: [...finding.confidence],
        found,
        fits,
        reasons: reasons.map((reason) => ({ ...reason })),
      };
    } finally {
      active -= 1;
    }
  };
  return {
    definition: v1.PictureService.service,
    implementation: { InspectPicture: unary(inspect) },
  };
}
