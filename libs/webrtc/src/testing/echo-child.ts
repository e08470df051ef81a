import wrtc from '@roamhq/wrtc';
import { servePeers } from '../child/index.js';

/** Sends no media, echoes every message, and hangs on request. */
servePeers<{ readonly greeting: string }, string, string>((connection, { greeting }, emit) => {
  const source = new wrtc.nonstandard.RTCAudioSource();
  const track = source.createTrack();
  connection.addTrack(track, new wrtc.MediaStream());
  emit(greeting);
  return {
    handle: (message) => {
      if (message === 'hang') for (;;) Math.sqrt(2);
      emit(message);
    },
    stateChanged: () => {},
    close: () => track.stop(),
  };
});
