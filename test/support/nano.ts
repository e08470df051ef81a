import { readFileSync } from 'node:fs';
import { type GraphManifest, graphManifest } from '@talkmesh/contracts';

/** The manifest of the model that ships. */
export const nano = graphManifest.parse(JSON.parse(readFileSync('models/nano/model.json', 'utf8')));

const [first] = nano.avatars;
if (first === undefined) throw new Error('the model has no avatar');
export const firstAvatar: GraphManifest['avatars'][number] = first;

const [mouthX, mouthY] = firstAvatar.landmarks[0];
/** Finder and mesh of photographed faces: what `FaceJudge` reads pixels with. */
export const FACE_NETS = { detector: 'models/nano/face-detector.onnx', mesh: 'models/nano/face-mesh.onnx' };

/** [x, y, width, height] in pixels around the first avatar's mouth, with room for a moving head. */
export const mouthBox = [Math.round(mouthX - 28), Math.round(mouthY - 14), 56, 44] as const;
