import { composeDrawn } from '../kernels/compose-frames.js';
import type { Kernel, KernelTensor } from '../kernels/kernel.js';
import { FacePainter, type Photo } from './face-painter.js';
import { RIG_NUMBERS } from './face-shapes.js';
import { FIELD, headFlow } from './head-pose.js';
import { preparePhoto } from './prepare-photo.js';
import { rigRows } from './rig-rows.js';

/** Numbers of `reference_face`: see `faceNumbers`. */
const FACE_NUMBERS = 20;
type N = number;
type FaceNumbers = readonly [N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N];

const info = (name: string, type: string, ...dims: (number | string)[]) => ({ name, type, dims });

/** Outputs of the reference kernel, inputs of the decoder kernel. */
const REFERENCE = [
  info('reference_luma', 'float32', 1, 1, 'size', 'size'),
  info('reference_chroma', 'float32', 1, 2, 'half', 'half'),
  info('reference_places', 'float32', 'vertices', 2),
  info('reference_texture', 'float32', 'vertices', 2),
  info('reference_rolls', 'float32', 'rolls', 'vertices', 2),
  info('reference_basis', 'float32', 'shapes', 'vertices', 2),
  info('reference_triangles', 'float32', 'triangles', 3),
  info('reference_maps', 'float32', 2, FIELD, FIELD),
  info('reference_face', 'float32', FACE_NUMBERS),
];
const MATRICES = [
  info('plain', 'float32', 'latent', 'rig'),
  info('plain_bias', 'float32', 'rig'),
  info('border', 'float32', 'latents', 'rig'),
  info('border_bias', 'float32', 'rig'),
  info('low', 'float32', RIG_NUMBERS),
  info('high', 'float32', RIG_NUMBERS),
];

type Inputs = Readonly<Record<string, KernelTensor>>;

const floats = (data: Float32Array, ...dims: number[]): KernelTensor => ({ type: 'float32', dims, data });

function values(inputs: Inputs, name: string): Float32Array {
  const data = inputs[name]?.data;
  if (data instanceof Float32Array) return data;
  throw new Error(`the mesh decoder needs the float32 input ${name}; restore the model folder from the release`);
}

/** Fits a photograph: image uint8 [S, S, 3], points [468, 3] and MediaPipe's triangles [n, 3] -> REFERENCE. */
export const meshReference: Kernel = {
  inputs: [
    info('image', 'uint8', 'size', 'size', 3),
    info('points', 'float32', 468, 3),
    info('triangles', 'float32', 'triangles', 3),
  ],
  outputs: REFERENCE,
  run(inputs) {
    const image = inputs['image'];
    if (!(image?.data instanceof Uint8Array)) throw new Error('the mesh decoder needs the uint8 input image');
    const size = image.dims[0] ?? 0;
    const photo = preparePhoto(image.data, values(inputs, 'points'), values(inputs, 'triangles'), size);
    const { luma, chroma, mesh, maps } = photo;
    const vertices = mesh.places.length / 2;
    return {
      reference_luma: floats(luma, 1, 1, size, size),
      reference_chroma: floats(chroma, 1, 2, size / 2, size / 2),
      reference_places: floats(mesh.places, vertices, 2),
      reference_texture: floats(mesh.texture, vertices, 2),
      reference_rolls: floats(mesh.rolls, mesh.rolls.length / mesh.places.length, vertices, 2),
      reference_basis: floats(mesh.basis, mesh.basis.length / mesh.places.length, vertices, 2),
      reference_triangles: floats(mesh.triangles, mesh.triangles.length / 3, 3),
      reference_maps: floats(maps, 2, FIELD, FIELD),
      reference_face: floats(faceNumbers(photo), FACE_NUMBERS),
    };
  },
};

/** By the photograph's levels: its sessions share the memory of one. */
const painters = new WeakMap<Float32Array, FacePainter>();

/** Animates it: latent [n, C, H, W], state, REFERENCE and the rig matrices -> frames [n, S * S * 3 / 2] and state_out. */
export const meshDecoder: Kernel = {
  inputs: [
    info('latent', 'float32', 'frames', 'C', 'H', 'W'),
    info('state', 'float32', 'C + 1', 'H', 'W'),
    ...REFERENCE,
    ...MATRICES,
  ],
  outputs: [info('frames', 'uint8', 'frames', 'bytes'), info('state_out', 'float32', 'C + 1', 'H', 'W')],
  run(inputs) {
    const latent = values(inputs, 'latent');
    const state = inputs['state'] as KernelTensor;
    const before = values(inputs, 'state');
    const rows = rigRows(latent, before, {
      plain: values(inputs, 'plain'),
      plainBias: values(inputs, 'plain_bias'),
      border: values(inputs, 'border'),
      borderBias: values(inputs, 'border_bias'),
      low: values(inputs, 'low'),
      high: values(inputs, 'high'),
    });
    const frameValues = values(inputs, 'plain').length / values(inputs, 'plain_bias').length;
    const photo = photoOf(inputs);
    const painter = painters.get(photo.luma) ?? new FacePainter(photo);
    painters.set(photo.luma, painter);
    const frames = rows.length / RIG_NUMBERS;
    const rigOf = (frame: number): Float32Array => rows.subarray(frame * RIG_NUMBERS, (frame + 1) * RIG_NUMBERS);
    const flow = new Float32Array(frames * FIELD * FIELD * 2);
    for (let i = 0; i < frames; i++) {
      const field = flow.subarray(i * FIELD * FIELD * 2, (i + 1) * FIELD * FIELD * 2);
      headFlow(rigOf(i), photo.frame, values(inputs, 'reference_maps'), photo.size, field);
    }
    const { size, luma, chroma } = photo;
    const data = composeDrawn({ size, frames, luma, chroma, flow, fieldSize: FIELD }, (i, planes) =>
      painter.paint(rigOf(i), planes),
    );
    return {
      frames: { type: 'uint8', dims: [frames, data.length / Math.max(1, frames)], data },
      state_out: floats(nextState(latent, frameValues, before.length), ...state.dims),
    };
  },
};

/** The last latent frame, and ones, which say that there was one. */
function nextState(latent: Float32Array, values: number, length: number): Float32Array {
  const next = new Float32Array(length).fill(1);
  next.set(latent.subarray(latent.length - values));
  return next;
}

/** Frame, mouth and box in one tensor. */
function faceNumbers({ frame, mouth, box, lidCover }: Photo): Float32Array {
  return Float32Array.of(
    ...[frame.x, frame.y, frame.cos, frame.sin, frame.unit],
    ...[mouth.middle, mouth.halfWidth, mouth.line, mouth.skin.luma, mouth.skin.u, mouth.skin.v],
    ...[mouth.teeth.luma, mouth.teeth.u, mouth.teeth.v],
    ...[box.left, box.top, box.width, box.height, ...lidCover],
  );
}

function photoOf(inputs: Inputs): Photo {
  const [
    x,
    y,
    cos,
    sin,
    unit,
    middle,
    halfWidth,
    line,
    skinLuma,
    u,
    v,
    teethLuma,
    teethU,
    teethV,
    left,
    top,
    width,
    height,
    leftLid,
    rightLid,
  ] = values(inputs, 'reference_face') as unknown as FaceNumbers;
  const frame = { x, y, cos, sin, unit };
  return {
    size: inputs['reference_luma']?.dims.at(-1) ?? 0,
    luma: values(inputs, 'reference_luma'),
    chroma: values(inputs, 'reference_chroma'),
    frame,
    mesh: {
      places: values(inputs, 'reference_places'),
      texture: values(inputs, 'reference_texture'),
      rolls: values(inputs, 'reference_rolls'),
      basis: values(inputs, 'reference_basis'),
      triangles: values(inputs, 'reference_triangles'),
    },
    mouth: {
      ...{ frame, middle, halfWidth, line },
      skin: { luma: skinLuma, u, v },
      teeth: { luma: teethLuma, u: teethU, v: teethV },
    },
    box: { left, top, width, height },
    lidCover: [leftLid, rightLid],
  };
}
