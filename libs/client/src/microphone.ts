import { TalkMeshError } from './http.js';

/** Echo cancellation is essential: without it the avatar's own voice reaches the microphone and interrupts the avatar. */
const CONSTRAINTS: MediaStreamConstraints = {
  audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 },
};

/**
 * Opens the microphone; the browser may ask the user for permission.
 * @throws TalkMeshError MIC_DENIED (refused by the user or by a policy), MIC_MISSING (no device, or the page is not served over HTTPS)
 */
export async function openMicrophone(devices: Pick<MediaDevices, 'getUserMedia'> | undefined): Promise<MediaStream> {
  if (devices === undefined)
    throw new TalkMeshError(
      'MIC_MISSING',
      'The browser allows the microphone only on https or localhost. Open this page over https.',
    );
  try {
    return await devices.getUserMedia(CONSTRAINTS);
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'NotAllowedError' || name === 'SecurityError')
      throw new TalkMeshError('MIC_DENIED', 'The microphone is blocked. Allow it in the address bar.', { cause });
    throw new TalkMeshError('MIC_MISSING', 'No microphone was found. Connect one and call again.', { cause });
  }
}
