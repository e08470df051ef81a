import type { CallEvent, CallProgress, TurnProgress } from './types.js';

/** A call in which nothing was said yet. */
export const AT_REST: CallProgress = { turns: [], paused: false, userSpeaking: false, recovering: [] };

/**
 * What is going on in the call after one more event. The gateway folds the events of a session with it into `session.snapshot`, and the
 * client folds on from there, so both always agree.
 */
export function progressAfter(progress: CallProgress, event: CallEvent): CallProgress {
  switch (event.type) {
    case 'session.snapshot':
      return withDisclosure(event.progress, progress);
    case 'turn.queued':
      return withTurn(progress, { turn: event.turn, source: event.source, audible: false });
    case 'turn.started':
      return withTurn(progress, { turn: event.turn, source: event.source, audible: true });
    case 'caption':
      return { ...progress, caption: { turn: event.turn, text: event.text } };
    case 'turn.finished':
    case 'turn.cancelled':
      return withoutTurn(progress, event.turn);
    case 'turn.paused':
    case 'turn.resumed':
      return { ...progress, paused: event.type === 'turn.paused' && event.cause === 'command' };
    case 'speech.started':
    case 'speech.stopped':
      return { ...progress, userSpeaking: event.type === 'speech.started' };
    case 'input.problem':
      return { ...progress, inputProblem: { code: event.code, text: event.text } };
    case 'input.recovered':
      return withoutInputProblem(progress);
    case 'disclosure':
      return { ...progress, disclosure: { label: event.label, badge: event.badge } };
    case 'recording.started':
      return { ...progress, recording: { sides: event.sides } };
    case 'recording.finished':
    case 'recording.failed':
      return withoutRecording(progress);
    case 'stage.recovering':
      return {
        ...progress,
        recovering: [...progress.recovering.filter((name) => name !== event.service), event.service],
      };
    case 'stage.moved':
      return { ...progress, recovering: progress.recovering.filter((name) => name !== event.service) };
    case 'session.ended':
      return AT_REST;
    default:
      return progress;
  }
}

function withTurn(progress: CallProgress, changed: TurnProgress): CallProgress {
  const others = progress.turns.filter(({ turn }) => turn !== changed.turn);
  return { ...progress, turns: [...others, changed].sort((a, b) => a.turn - b.turn) };
}

/** A snapshot is made of the events that are retained, and the disclosure may be too old for it. */
function withDisclosure(snapshot: CallProgress, { disclosure }: CallProgress): CallProgress {
  return { ...(disclosure !== undefined && { disclosure }), ...snapshot };
}

function withoutInputProblem({ inputProblem: _over, ...progress }: CallProgress): CallProgress {
  return progress;
}

function withoutRecording({ recording: _over, ...progress }: CallProgress): CallProgress {
  return progress;
}

function withoutTurn({ caption, ...progress }: CallProgress, over: number): CallProgress {
  const turns = progress.turns.filter(({ turn }) => turn !== over);
  return { ...progress, turns, ...(caption !== undefined && caption.turn !== over && { caption }) };
}
