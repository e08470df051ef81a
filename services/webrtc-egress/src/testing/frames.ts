import type { FrameMessage } from '@talkmesh/contracts';

export const FRAMES_PER_CHUNK = 12;
const FPS = 25;
const SAMPLES_PER_FRAME = 960;

/** A small frame whose luma encodes its number, so that tests can identify it. */
export function testFrame(chunk: number, frame: number, changes: Partial<FrameMessage> = {}): FrameMessage {
  const [width, height] = [changes.width ?? 16, changes.height ?? 16];
  const number = chunk * FRAMES_PER_CHUNK + frame;
  return {
    sessionId: '0'.repeat(20),
    epoch: 0,
    turn: 0,
    chunk,
    mediaTimeUs: (number * 1e6) / FPS,
    deadlineUs: 0,
    frame,
    framesInChunk: FRAMES_PER_CHUNK,
    width,
    height,
    i420: new Uint8Array((width * height * 3) / 2).fill(16 + (number % 200)),
    pcm: new Int16Array(SAMPLES_PER_FRAME).fill(number + 1),
    turnSamples: 0,
    speaking: false,
    degraded: false,
    held: false,
    endOfTurn: false,
    endsIdle: false,
    ...changes,
  };
}

export function testChunk(chunk: number, changes: Partial<FrameMessage> = {}): FrameMessage[] {
  return Array.from({ length: FRAMES_PER_CHUNK }, (_, frame) => testFrame(chunk, frame, changes));
}

/** Every fourth chunk starts with 8 bright frames with a tone; all others are dark and silent. */
export function flashFrame(sessionId: string, chunk: number, frame: number, side: number): FrameMessage {
  const on = chunk % 4 === 0 && frame < 8;
  const i420 = new Uint8Array((side * side * 3) / 2).fill(128);
  i420.fill(on ? 220 : 40, 0, side * side);
  const pcm = Int16Array.from({ length: SAMPLES_PER_FRAME }, (_, i) =>
    on ? 8000 * Math.sin(((frame * 960 + i) * Math.PI) / 12) : 0,
  );
  return testFrame(chunk, frame, { sessionId, width: side, height: side, i420, pcm });
}
