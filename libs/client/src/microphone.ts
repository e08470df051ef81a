import { TalkMeshError } from './http.js';

/** What the browser is asked for: one voice, cleaned up, so that the avatar does not hear itself. */
const VOICE: MediaStreamConstraints = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
};

/**
 * Asks for the microphone.
 * @throws TalkMeshError MIC_DENIED (the user or a policy said no), MIC_MISSING (no device, or no HTTPS)
 */
export async function openMicrophone(devices: Pick<MediaDevices, 'getUserMedia'> | undefined): Promise<MediaStream> {
  if (devices === undefined)
    throw new TalkMeshError('MIC_MISSING', 'Browsers give the microphone to pages on https or on localhost only.');
  try {
    return await devices.getUserMedia(VOICE);
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'NotAllowedError' || name === 'SecurityError')
      throw new TalkMeshError('MIC_DENIED', 'The microphone is blocked. Allow it in the address bar.', { cause });
    throw new TalkMeshError('MIC_MISSING', 'No microphone was found. Plug one in.', { cause });
  }
}
