import { MeshError } from './errors.js';
import { HEADER_BYTES, type LatentMessage } from './messages.js';
import { MAX_PAYLOAD_BYTES } from './pipeline.js';

const MAX_PARTS = 256;

/** Splits a chunk's latents into messages that fit a NATS payload; a small chunk stays one message. */
export function splitLatent(whole: LatentMessage, maxBytes = MAX_PAYLOAD_BYTES): LatentMessage[] {
  const room = Math.floor((maxBytes - HEADER_BYTES - whole.pcm.byteLength) / 4);
  if (room < 1)
    throw new MeshError('MESSAGE_MALFORMED', `audio of ${whole.pcm.byteLength} bytes leaves no room for latents`);
  const parts = Math.max(1, Math.ceil(whole.values.length / room));
  if (parts > MAX_PARTS)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `a chunk of ${whole.values.length} latents needs ${parts} parts, over ${MAX_PARTS}`,
    );
  return Array.from({ length: parts }, (_, part) => ({
    ...whole,
    part,
    parts,
    values: whole.values.subarray(part * room, (part + 1) * room),
    pcm: part === 0 ? whole.pcm : new Int16Array(0),
  }));
}

/** Joins the parts of a chunk again. Parts of one chunk come in order; a part of another chunk drops an unfinished one. */
export class LatentAssembler {
  #parts: LatentMessage[] = [];

  /** The whole chunk once its last part arrived, else undefined. */
  push(message: LatentMessage): LatentMessage | undefined {
    const first = this.#parts[0];
    const continues =
      first !== undefined &&
      first.chunk === message.chunk &&
      first.epoch === message.epoch &&
      first.parts === message.parts &&
      message.part === this.#parts.length;
    if (!continues) this.#parts = [];
    if (!continues && message.part !== 0) return undefined;
    this.#parts.push(message);
    if (this.#parts.length < message.parts) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0));
    let at = 0;
    for (const part of parts) {
      values.set(part.values, at);
      at += part.values.length;
    }
    return { ...(parts[0] as LatentMessage), part: 0, parts: 1, values };
  }
}
