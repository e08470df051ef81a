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

export function stopTracks(stream: MediaStream | undefined): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Opens microphones of which one is wanted: when requests overlap, the last one holds, in whatever order they are answered. */
export class MicrophoneOpener {
  readonly #devices: Pick<MediaDevices, 'getUserMedia'> | undefined;
  #newest: symbol | undefined;

  constructor(devices: Pick<MediaDevices, 'getUserMedia'> | undefined) {
    this.#devices = devices;
  }

  get isOpening(): boolean {
    return this.#newest !== undefined;
  }

  /** @throws TalkMeshError of `openMicrophone`; CANCELLED: another one was requested meanwhile, or none is wanted any more */
  async open(deviceId: string): Promise<MediaStream> {
    const request = Symbol();
    this.#newest = request;
    const [opened] = await Promise.allSettled([openMicrophone(this.#devices, deviceId)]);
    if (this.#newest !== request) {
      if (opened.status === 'fulfilled') stopTracks(opened.value);
      throw new TalkMeshError('CANCELLED', 'Another microphone was chosen, or none is needed any more.');
    }
    this.#newest = undefined;
    if (opened.status === 'rejected') throw opened.reason;
    return opened.value;
  }

  /** What is being opened is not wanted any more. */
  cancel(): void {
    this.#newest = undefined;
  }
}
