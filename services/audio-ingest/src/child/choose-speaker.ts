import type { SpeakerRule } from '../room-messages.js';

/** A participant of the room, as far as the choice depends on it. */
export interface Candidate {
  readonly identity: string;
  readonly isAgent: boolean;
  /** Unix milliseconds. */
  readonly joinedAtMs: number;
  readonly attributes: Readonly<Record<string, string>>;
  readonly hasMicrophone: boolean;
}

/** Whether a participant may be heard at all. Agents speak for themselves, so one is heard only by its name. */
function isWanted({ identity, attributes, avatar }: SpeakerRule, candidate: Candidate): boolean {
  if (candidate.identity === avatar) return false;
  if (identity === '' ? candidate.isAgent : identity !== candidate.identity) return false;
  return Object.entries(attributes).every(([name, value]) => candidate.attributes[name] === value);
}

/**
 * Who is heard: the one who was, as long as they are in the room and may be heard, even without a microphone for a while; else the one
 * who joined first among those that have a microphone. Undefined: none.
 */
export function chooseSpeaker(
  rule: SpeakerRule,
  candidates: readonly Candidate[],
  current: string | undefined,
): string | undefined {
  const wanted = candidates.filter((candidate) => isWanted(rule, candidate));
  if (wanted.some(({ identity }) => identity === current)) return current;
  const speaking = wanted.filter(({ hasMicrophone }) => hasMicrophone);
  // Two may have joined in the same millisecond; two workers must choose the same of them.
  const [first] = speaking.sort((a, b) => a.joinedAtMs - b.joinedAtMs || (a.identity < b.identity ? -1 : 1));
  return first?.identity;
}
