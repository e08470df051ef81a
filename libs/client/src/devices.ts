/** A microphone or a speaker of the user. */
export interface AudioDevice {
  /** Of this browser and this page's origin. */
  readonly id: string;
  readonly label: string;
}

export interface AudioDevices {
  readonly microphones: readonly AudioDevice[];
  readonly speakers: readonly AudioDevice[];
}

/** Names of Chromium for "the one that the system uses"; here it is chosen by choosing none. */
const ALIASES: ReadonlySet<string> = new Set(['', 'default', 'communications']);

/** The devices that can be chosen. Browsers name them only once the user has allowed a microphone; until then the lists are empty. */
export async function listAudioDevices(devices: Pick<MediaDevices, 'enumerateDevices'>): Promise<AudioDevices> {
  const all = await devices.enumerateDevices();
  const of = (kind: MediaDeviceKind): AudioDevice[] =>
    all
      .filter((device) => device.kind === kind && !ALIASES.has(device.deviceId))
      .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `Device ${index + 1}` }));
  return { microphones: of('audioinput'), speakers: of('audiooutput') };
}

/** Whether the browser lets a page choose the speaker. */
export const canChooseSpeaker = (): boolean => 'setSinkId' in (globalThis.HTMLMediaElement?.prototype ?? {});

/** Quietest level that a meter shows, decibels below full scale. */
const FLOOR_DB = -60;
const METER_MS = 60;

/** Height of a level meter. @param rms root mean square of samples between -1 and 1 @returns 0 to 1, linear in decibels */
export function meterLevel(rms: number): number {
  const decibels = 20 * Math.log10(Math.max(rms, 1e-6));
  return Math.min(1, Math.max(0, 1 - decibels / FLOOR_DB));
}

/**
 * Measures the loudness of a microphone.
 * @param onLevel called about 16 times a second with 0 (silence) to 1
 * @returns a function that ends it
 */
export function watchLevel(stream: MediaStream, onLevel: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(meterLevel(Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)));
  }, METER_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
