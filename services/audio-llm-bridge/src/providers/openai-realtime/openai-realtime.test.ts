/** The real provider, with the official client, against a server of the protocol on a real socket. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenedProvider, waitFor } from '../../testing/open-provider.js';
import { ask, ms, question, silence, talk } from '../../testing/realtime-call.js';
import type { RealtimeTestServerOptions } from '../../testing/realtime-server.js';
import { fundamentalHz, tone } from '../../testing/tone.js';

test('a question is answered with speech, transcripts of both sides and the time that the provider took', async () => {
  await using call = await talk({
    transcripts: ['How are you?'],
    answer: () => ({ text: 'I am well. Thank you for asking.', pcm: tone(300, 1500, 6000), delayMs: 60 }),
  });
  const { provider, server } = call;
  ask(provider);
  const { response } = await provider.until('end');
  assert.deepEqual(provider.speech(response), tone(300, 1500, 6000));
  assert.ok(
    provider.of('speech').every(({ pcm }) => ms(pcm) <= 100),
    'in short messages',
  );
  assert.deepEqual(provider.said, ['user: How are you?', 'avatar: I am well. Thank you for asking.']);
  assert.ok(
    provider.of('transcript').some(({ text, final }) => !final && text === 'I am well.'),
    'sentence by sentence',
  );
  assert.deepEqual(
    provider.of('user').map(({ activity }) => activity),
    ['started', 'stopped'],
  );
  const timing = provider.of('timing').find(({ step }) => step === 'response');
  assert.ok(timing !== undefined && timing.ms >= 50, `${timing?.ms} ms`);
  assert.deepEqual([provider.failures, server.session.errors], [[], []]);
  assert.match(server.requests[0]?.url ?? '', /^\/v1\/realtime\?model=gpt-realtime-2\.1$/);
  assert.equal(server.requests[0]?.headers.authorization, undefined, 'no key is configured');
});

test('the session is configured as the deployment and the session say', async () => {
  const tools = [{ name: 'weather', description: 'Tells the weather', parameters: { type: 'object' } }];
  const choices = { instructions: 'You are a pirate.', voice: 'cedar', language: 'pt-BR', tools };
  const env = { TALKMESH_OPENAI_REALTIME_SPEED: '1.2', TALKMESH_OPENAI_REALTIME_TURN_DETECTION: 'semantic_vad' };
  await using call = await talk({}, env, { choices });
  await waitFor(
    () => call.server.session.received.length > 0,
    () => 'session.update',
  );
  const { audio, ...config } = call.server.session.config as Record<string, never>;
  assert.deepEqual(config, {
    type: 'realtime',
    model: 'gpt-realtime-2.1',
    output_modalities: ['audio'],
    instructions: 'You are a pirate.\nSpeak in the language "pt-BR".',
    tools: [{ type: 'function', ...tools[0] }],
    tool_choice: 'auto',
  });
  assert.deepEqual(audio, {
    input: {
      format: { type: 'audio/pcm', rate: 24_000 },
      turn_detection: { type: 'semantic_vad', create_response: true, interrupt_response: true },
      transcription: { model: 'gpt-4o-mini-transcribe', language: 'pt' },
    },
    output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'cedar', speed: 1.2 },
  });
});

for (const [name, options] of Object.entries({
  'that speaks the beta dialect': { dialect: 'beta' },
  'that sends only session.created, speech_started, audio and response.done': { minimal: true },
} satisfies Record<string, RealtimeTestServerOptions>))
  test(`a server ${name} is understood, also when the user interrupts`, async () => {
    const answers = [tone(300, 4000, 6000), tone(400, 500, 6000)];
    await using call = await talk({
      ...options,
      answer: (n) => ({
        pcm: answers[n] ?? silence(100),
        text: 'One two three four five six.',
        paceMs: n === 0 ? 20 : 0,
      }),
    });
    const { provider, server } = call;
    ask(provider);
    const first = (await provider.until('speech', 5)).response;
    ask(provider);
    await provider.until('user', 3);
    provider.session.cancel({ response: first, playedMs: 250 });
    await provider.until('end', 2);
    const second = provider.of('end')[1]?.response ?? '';
    assert.notEqual(second, first);
    assert.equal(ms(provider.speech(second)), 500);
    assert.ok(ms(provider.speech(first)) < 4000);
    const item = server.session.items.find(({ kind }) => kind === 'assistant');
    await waitFor(
      () => item?.truncated === true,
      () => 'truncation',
    );
    assert.deepEqual([item?.truncated, item?.ms], [true, 250]);
    assert.deepEqual(
      provider.of('user').map(({ activity }) => activity),
      ['started', 'stopped', 'started', 'stopped'],
      'also when the server does not tell the end',
    );
    assert.deepEqual(provider.failures, []);
  });

test('an answer is truncated where it was heard, and never beyond what the server sent', async () => {
  await using call = await talk({ answer: () => ({ pcm: tone(300, 1000, 6000), text: 'A b c d e f g h i j.' }) });
  const { provider, server } = call;
  ask(provider);
  const { response } = await provider.until('end');
  provider.session.cancel({ response, playedMs: 400.7 });
  await waitFor(
    () => server.session.items.some(({ truncated }) => truncated),
    () => 'truncation',
  );
  const item = server.session.items.find(({ truncated }) => truncated);
  assert.equal(item?.ms, 400);

  ask(provider);
  const later = await provider.until('end', 2);
  provider.session.cancel({ response: later.response, playedMs: 99_000 });
  provider.session.cancel({ response: 'unknown', playedMs: 1 });
  ask(provider);
  await provider.until('end', 3);
  assert.deepEqual(server.session.errors, []);
  assert.ok(
    !server.session.received.some((event) => event.type === 'response.cancel'),
    'a complete answer is not cancelled',
  );
});

test('with turn detection by the mesh only the utterance is sent, and it is answered at its end', async () => {
  await using call = await talk(
    { transcripts: ['Hello'], answer: () => ({ pcm: tone(300, 300, 6000) }) },
    { TALKMESH_OPENAI_REALTIME_TURN_DETECTION: 'mesh' },
  );
  const { provider, server } = call;
  provider.hear(silence(3000));
  provider.session.push({ kind: 'user.started', preRollMs: 300 });
  provider.hear(question);
  provider.session.push({ kind: 'user.stopped' });
  await provider.until('end');
  assert.equal(server.session.heardMs, 900);
  assert.deepEqual(
    server.session.received.map(({ type }) => type).filter((type) => type !== 'input_audio_buffer.append'),
    ['session.update', 'input_audio_buffer.clear', 'input_audio_buffer.commit', 'response.create'],
  );
  assert.equal(ms(provider.speech()), 300);
});

test('a server of another rate hears and is heard at the right pitch, also when events end inside a sample', async () => {
  await using call = await talk(
    { rateHz: 16_000, answer: () => ({ pcm: tone(300, 1500, 6000).slice(0, 24_000), oddBytes: true }) },
    { TALKMESH_OPENAI_REALTIME_INPUT_RATE_HZ: '16000' },
  );
  const { provider, server } = call;
  ask(provider);
  await provider.until('end');
  assert.ok(Math.abs(server.session.heardMs - 1000) < 20, `${server.session.heardMs} ms heard`);
  assert.equal(ms(provider.speech()), 1500);
  // The samples of a tone of 300 Hz at 24 kHz are a tone of 200 Hz at 16 kHz.
  assert.equal(fundamentalHz(provider.speech()), fundamentalHz(tone(200, 1500, 6000)));
});

test('an answer of ten minutes arrives whole and in order, as fast as the server sends it', async () => {
  const long = Int16Array.from({ length: 600 * 24_000 }, (_, i) => ((i * 7919) % 60_000) - 30_000);
  await using call = await talk({
    answer: () => ({ pcm: long, pieceMs: 1000, text: 'Once upon a time. '.repeat(400) }),
  });
  ask(call.provider);
  await call.provider.until('end');
  assert.deepEqual(call.provider.speech(), long);
});

test('the model calls a tool and speaks when all calls of its response are answered', async () => {
  const tools = [
    { id: 'call-1', name: 'weather', arguments: '{"city":"Oslo"}' },
    { id: 'call-2', name: 'time', arguments: '{}' },
  ];
  await using call = await talk({
    answer: (n) => (n === 0 ? { tools } : { pcm: tone(300, 300, 6000), text: 'It is cold.' }),
  });
  const { provider, server } = call;
  ask(provider);
  await provider.until('tool.call', 2);
  assert.deepEqual(
    provider.of('tool.call').map(({ call: made }) => made),
    tools,
  );
  provider.session.answerTool?.({ id: 'call-2', output: '12:00' });
  provider.session.answerTool?.({ id: 'call-1', output: '{"celsius":-5}' });
  provider.session.answerTool?.({ id: 'call-1', output: 'twice' });
  await provider.until('end');
  assert.deepEqual(
    server.session.known.filter((text) => text.startsWith('function_call_output')),
    ['function_call_output: call-2 12:00', 'function_call_output: call-1 {"celsius":-5}'],
  );
  assert.deepEqual(server.session.errors, []);
  assert.equal(server.answers, 2);

  server.cut();
  await waitFor(
    () => server.sessions.length === 2 && server.session.items.length > 4,
    () => 'the replay of the calls',
  );
  assert.ok(server.session.known.includes('function_call: call-1 weather {"city":"Oslo"}'));
});

test('after a takeover the provider learns what was said, and a provider that is away does not end the session', async () => {
  const history = [
    { role: 'user', text: 'My name is Ann.' },
    { role: 'avatar', text: 'Hello Ann.' },
  ] as const;
  await using call = await talk({}, {}, { isTakeover: true, history });
  await waitFor(
    () => call.server.sessions.length === 1 && call.server.session.items.length === 2,
    () => 'the replay',
  );
  assert.deepEqual(call.server.session.known, ['user: My name is Ann.', 'assistant: Hello Ann.']);
  const { port } = call.server;
  const gone = { TALKMESH_OPENAI_REALTIME_URL: `ws://127.0.0.1:${port + 1}` };
  await using patient = await OpenedProvider.open('openai-realtime', gone, { isTakeover: true, history });
  await waitFor(
    () => patient.failures.length === 1,
    () => 'the explanation',
  );
});
