import type { FrameMessage } from '@talkmesh/contracts';
import type { MakeFrame } from '../../../services/webrtc-egress/src/testing/bench.js';
import { FRAMES_PER_CHUNK, testFrame } from '../../../services/webrtc-egress/src/testing/frames.js';

export const FPS = 25;
export const SIDE = 256;
const SAMPLES_PER_FRAME = 960;
/** Loudness of the source is known for each of these parts of a frame. */
export const HOPS_PER_FRAME = 8;
const FACE_LUMA = 170;
const MOUTH_LUMA = 40;
/** Half width and greatest half height of the mouth, and its centre, pixels. */
const MOUTH = { halfWidth: 24, halfHeight: 18, x: SIDE / 2, y: 176 } as const;
/** [x, y, width, height] of the part of the picture that the mouth moves in. */
export const MOUTH_BOX = [MOUTH.x - 28, MOUTH.y - 22, 56, 44] as const;
const LOUD = 0.25;

/** Frames of a drawn face whose mouth is as open as the frame's own sound is loud, so that both are known exactly. */
export class MouthSource {
  /** Opening of the mouth for each frame, 0..1. */
  readonly openings: number[] = [];
  /** Root mean square of each hop of the sound, 0..1. */
  readonly loudness: number[] = [];
  readonly #speech: Int16Array;

  /** @param speech PCM16 mono, 24 kHz; repeated */
  constructor(speech: Int16Array) {
    this.#speech = speech;
  }

  readonly make: MakeFrame = (sessionId, chunk, frame): FrameMessage => {
    const number = chunk * FRAMES_PER_CHUNK + frame;
    const at = number * SAMPLES_PER_FRAME;
    const pcm = Int16Array.from(
      { length: SAMPLES_PER_FRAME },
      (_, i) => this.#speech[(at + i) % this.#speech.length] ?? 0,
    );
    const opening = Math.min(1, rms(pcm) / LOUD);
    this.openings[number] = opening;
    const hop = SAMPLES_PER_FRAME / HOPS_PER_FRAME;
    for (let i = 0; i < HOPS_PER_FRAME; i++)
      this.loudness[number * HOPS_PER_FRAME + i] = rms(pcm.subarray(i * hop, (i + 1) * hop));
    return testFrame(chunk, frame, { sessionId, width: SIDE, height: SIDE, i420: draw(opening), pcm, speaking: true });
  };
}

function draw(opening: number): Uint8Array {
  const i420 = new Uint8Array((SIDE * SIDE * 3) / 2).fill(128);
  // A gradient, so that the encoder has something to encode besides the mouth.
  for (let y = 0; y < SIDE; y++) i420.fill(FACE_LUMA - y / 8, y * SIDE, (y + 1) * SIDE);
  const height = 1 + opening * (MOUTH.halfHeight - 1);
  for (let dy = -Math.floor(height); dy <= height; dy++) {
    const half = Math.round(MOUTH.halfWidth * Math.sqrt(Math.max(0, 1 - (dy / height) ** 2)));
    const row = (MOUTH.y + dy) * SIDE + MOUTH.x;
    i420.fill(MOUTH_LUMA, row - half, row + half);
  }
  return i420;
}

function rms(samples: Int16Array): number {
  return Math.sqrt(samples.reduce((sum, x) => sum + (x / 32_768) ** 2, 0) / samples.length);
}
