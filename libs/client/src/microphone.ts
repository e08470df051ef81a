import { TalkMeshError } from './http.js';

/** Echo cancellation is essential: without it the avatar's own voice reaches the microphone and interrupts the avatar. */
const CONSTRAINTS: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  channelCount: 1,
};

/**
 * Opens the microphone; the browser may ask the user for permission.
 * @param deviceId id of `listAudioDevices`; empty: the one that the system uses. Another one is never opened instead.
 * @throws TalkMeshError MIC_DENIED (refused by the user or by a policy), MIC_MISSING (no such device, or the page is not served over HTTPS)
 */
export async function openMicrophone(
  devices: Pick<MediaDevices, 'getUserMedia'> | undefined,
  deviceId = '',
): Promise<MediaStream> {
  if (devices === undefined)
    throw new TalkMeshError(
      'MIC_MISSING',
      'The browser allows the microphone only on https or localhost. Open this page over https.',
    );
  try {
    return await devices.getUserMedia({
      audio: { ...CONSTRAINTS, ...(deviceId !== '' && { deviceId: { exact: deviceId } }) },
    });
  } catch (cause) {
    const name = cause instanceof Error ? cause.name : '';
    if (name === 'NotAllowedError' || name === 'SecurityError')
      throw new TalkMeshError('MIC_DENIED', 'The microphone is blocked. Allow it in the address bar.', { cause });
    if (name === 'NotReadableError')
      throw new TalkMeshError('MIC_MISSING', 'Another program uses the microphone. Close that program and try again.', {
        cause,
      });
    throw new TalkMeshError(
      'MIC_MISSING',
      deviceId === ''
        ? 'No microphone was found. Connect one and try again.'
        : 'The chosen microphone is not connected. Connect it, or choose another one.',
      { cause },
    );
  }
}
