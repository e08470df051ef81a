import { type Content, type LiveConnectConfig, Modality } from '@google/genai';
import type { SessionChoices } from '@talkmesh/contracts';
import type { HistoryEntry } from '../history.js';

/** The setup of a session. audio-ingest finds speech, so that the server is told where utterances begin and end. */
export function setupOf(choices: SessionChoices, handle: string | undefined): LiveConnectConfig {
  const { instructions, voice, language, tools } = choices;
  return {
    responseModalities: [Modality.AUDIO],
    ...(instructions !== '' && { systemInstruction: instructions }),
    speechConfig: {
      ...(voice !== '' && { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } }),
      ...(language !== '' && { languageCode: language }),
    },
    inputAudioTranscription: {},
    outputAudioTranscription: {},
    sessionResumption: handle === undefined ? {} : { handle },
    contextWindowCompression: { slidingWindow: {} },
    realtimeInputConfig: { automaticActivityDetection: { disabled: true } },
    ...(tools.length > 0 && {
      tools: [
        {
          functionDeclarations: tools.map(({ name, description, parameters }) => ({
            ...{ name, description },
            parametersJsonSchema: parameters,
          })),
        },
      ],
    }),
  };
}

/** A conversation as turns of a new session. */
export function replayOf(entries: readonly HistoryEntry[]): Content[] {
  const names = new Map(entries.flatMap((entry) => (entry.kind === 'call' ? [[entry.call.id, entry.call.name]] : [])));
  return entries.map((entry): Content => {
    if (entry.kind === 'text') return { role: entry.role === 'user' ? 'user' : 'model', parts: [{ text: entry.text }] };
    if (entry.kind === 'call') {
      const { id, name, arguments: text } = entry.call;
      return { role: 'model', parts: [{ functionCall: { id, name, args: objectOf(text) } }] };
    }
    const { id, output } = entry.result;
    return {
      role: 'user',
      parts: [{ functionResponse: { id, name: names.get(id) ?? '', response: objectOf(output) } }],
    };
  });
}

/** The protocol wants objects where the product may answer with text. */
export function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    return { output: value };
  } catch {
    return { output: text };
  }
}
