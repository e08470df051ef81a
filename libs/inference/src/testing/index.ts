export { eyeHeight, FaceJudge, type FacePoints, lipGap } from './face-judge.js';
export { fixtureDit, fixtureGeometry } from './fixture-dit.js';
export { createFixtureModel, FIXTURE_AVATARS, type FixtureModel, writeFixtureModel } from './fixture-model.js';
export { createFixtureVideo, FIXTURE_VIDEO_AVATARS, FIXTURE_VIDEO_SIZES, type FixtureVideo } from './fixture-video.js';
export {
  FIXTURE_SIZES,
  type FixtureSizes,
  type FixtureWeights,
  fixtureWeights,
  type Matrix,
} from './fixture-weights.js';
export { FACES, type Face, StillFaces } from './mesh-poses.js';
export { encodePng, type PngOptions } from './png-writer.js';
export { randomTensors } from './random-tensors.js';
export { computeReferenceCall, type ReferenceCall } from './reference-network.js';
export { useSoftwareGpu } from './software-gpu.js';
export { VIDEO_FORMULAS } from './video-formulas.js';
export { type VideoChunk, WholeVideo } from './whole-video.js';
export { createWideModel } from './wide-model.js';
