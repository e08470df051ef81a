export { Call } from './call.js';
export type { CallMediaDevices } from './call-microphone.js';
export { AT_REST, progressAfter } from './call-progress.js';
export { type ClientOptions, TalkMeshClient } from './client.js';
export { ConnectionWatch } from './connection-watch.js';
export { DevicePicker, type DevicePickerOptions, type DevicePickerParts, playOnSpeaker } from './device-picker.js';
export {
  type AudioDevice,
  type AudioDevices,
  canChooseSpeaker,
  listAudioDevices,
  meterLevel,
  watchLevel,
} from './devices.js';
export { type HoldActions, onHold, onHoldSpace } from './hold.js';
export { TalkMeshError } from './http.js';
export { type AvatarReceivers, keepLipSync } from './keep-lip-sync.js';
export { type Message, Messages } from './messages.js';
export { openMicrophone } from './microphone.js';
export { isLive, playAudibly, STATE_LABELS, savesData } from './playback.js';
export { PushToTalk, type PushToTalkOptions } from './push-to-talk.js';
export { recordingText } from './recording-text.js';
export { describeStats } from './stats.js';
export { type Line, Transcript } from './transcript.js';
export { keepAtEnd, showTranscript } from './transcript-list.js';
export type * from './types.js';
