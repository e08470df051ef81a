/**
 * Counts which of the samples that were sent are in the audio that is played. Speech passes the mesh unchanged; but when it arrives too late, a chunk is
 * padded with zeros, which are no part of it.
 */
export class HeardSamples {
  #sent: Int16Array[] = [];
  /** The first sample of `#sent[0]` that was not played. */
  #at = 0;

  /** @param pcm PCM16 mono, at the rate of what is played */
  sent(pcm: Int16Array): void {
    if (pcm.length > 0) this.#sent.push(pcm);
  }

  /** @param pcm played next @returns how many of its samples are speech */
  played(pcm: Int16Array): number {
    let samples = 0;
    for (const sample of pcm) {
      const [first] = this.#sent;
      if (first === undefined) break;
      // A zero that is not expected is padding. Any other difference means that samples were lost on the way, and then these stand for them.
      if (sample === 0 && first[this.#at] !== 0) continue;
      samples += 1;
      this.#at += 1;
      if (this.#at < first.length) continue;
      this.#sent.shift();
      this.#at = 0;
    }
    return samples;
  }
}
