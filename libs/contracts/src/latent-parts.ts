import { MeshError } from './errors.js';
import { HEADER_BYTES, type LatentMessage } from './messages.js';
import { MAX_PAYLOAD_BYTES } from './pipeline.js';

const MAX_PARTS = 256;

/** Splits a chunk into messages that fit into a NATS payload. A small chunk stays one message. @throws MeshError MESSAGE_MALFORMED */
export function splitLatent(whole: LatentMessage, maxBytes = MAX_PAYLOAD_BYTES): LatentMessage[] {
  const room = Math.floor((maxBytes - HEADER_BYTES - whole.pcm.byteLength) / 4);
  if (room < 1)
    throw new MeshError(
      'MESSAGE_MALFORMED',
      `the chunk's audio of ${whole.pcm.byteLength} bytes leaves no space for latents in a message of ${maxBytes} bytes`,
    );
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

/** Joins the parts of a chunk. They must arrive in order; a part of another chunk drops the unfinished one. */
export class LatentAssembler {
  #parts: LatentMessage[] = [];

  /** @returns the complete chunk with its last part, otherwise undefined */
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
