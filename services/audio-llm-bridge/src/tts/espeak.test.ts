import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MeshError, type Reason } from '@talkmesh/contracts';
import { joinPcm } from '../pcm.js';
import { Espeak, type EspeakOptions } from './espeak.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-tts-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const never = new AbortController().signal;
const engine = (options: Partial<EspeakOptions> = {}): Espeak =>
  new Espeak({ command: 'espeak-ng', voice: 'en-us', wordsPerMinute: 160, deadlineMs: 20_000, ...options });

async function speak(tts: Espeak, text: string, voice = '', signal = never): Promise<Int16Array> {
  const parts: Int16Array[] = [];
  for await (const pcm of tts.speak({ text, voice, signal })) parts.push(pcm);
  return joinPcm(parts);
}

const refused =
  (reason: Reason, message: RegExp) =>
  (error: unknown): boolean => {
    const mesh = MeshError.from(error);
    assert.equal(mesh.reason, reason, String(error));
    assert.match(mesh.message, message);
    return true;
  };

/** A replacement for espeak-ng that writes its pid to a file, prints `head` bytes of WAV, then waits. */
function slowEngine(): { command: string; pid: () => number } {
  const [command, pidFile] = [join(folder, 'slow-engine'), join(folder, 'slow-engine.pid')];
  const header =
    '\\122\\111\\106\\106\\0\\0\\0\\0WAVEfmt \\020\\0\\0\\0\\001\\0\\001\\0\\042\\126\\0\\0\\104\\254\\0\\0\\002\\0\\020\\0data\\0\\0\\0\\0';
  writeFileSync(
    command,
    `#!/bin/sh\necho $$ > ${pidFile}\nprintf '${header}'\nhead -c 44100 /dev/zero\nexec sleep 60\n`,
  );
  chmodSync(command, 0o755);
  return { command, pid: () => Number(readFileSync(pidFile, 'utf8')) };
}

async function gone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    if (!existsSync(`/proc/${pid}`)) return true;
    await sleep(20);
  }
  return false;
}

test('a text becomes 24 kHz speech of a plausible length, and a longer text gives longer speech', async () => {
  const short = await speak(engine(), 'Hello there.');
  const long = await speak(
    engine(),
    'Hello there, this is a much longer line with $(touch /tmp/x) and `quotes` in it.',
  );
  assert.ok(short.length > 0.5 * 24_000 && short.length < 3 * 24_000, `${short.length} samples`);
  assert.ok(long.length > 2.5 * short.length);
  assert.ok(short.some((sample) => Math.abs(sample) > 3000));
  assert.ok((await speak(engine({ wordsPerMinute: 320 }), 'Hello there.')).length < 0.8 * short.length);
});

test('a missing program is reported with the package to install', async () => {
  const missing = engine({ command: join(folder, 'no-such-program') });
  await assert.rejects(speak(missing, 'Hello.'), refused('TTS_UNAVAILABLE', /apt-get install espeak-ng/));
  await assert.rejects(missing.check(), refused('TTS_UNAVAILABLE', /apt-get install espeak-ng/));
  await engine().check();
});

test('only voice names reach the command line; unknown voices and other texts are refused', async () => {
  await assert.rejects(speak(engine(), 'Hello.', 'klingon-xx'), refused('ARGUMENT_INVALID', /voice/));
  for (const voice of ['-w/tmp/x', '../../etc/passwd', 'a b', 'x'.repeat(41)])
    await assert.rejects(speak(engine(), 'Hello.', voice), refused('ARGUMENT_INVALID', /voice/));
});

/** How long speech lasts tells which words are read: phonemes are not at hand behind the WAV. */
const seconds = async (text: string, voice = ''): Promise<number> =>
  (await speak(engine(), text, voice)).length / 24_000;

test('markup is not heard, and what is between brackets is read as words', async () => {
  const note = await seconds('see note');
  for (const text of ['see [[note]]', 'see **note**', '<speak>see <break time="5s"/>note</speak>', 'see 😀 note'])
    assert.equal(await seconds(text), note, text);
});

test('other scripts are read by a voice that knows them, or refused with the reason', async () => {
  assert.equal(await seconds('Привет'), await seconds('Привет', 'ru'));
  assert.notEqual(await seconds('Привет'), await seconds('privet'));
  assert.ok((await seconds('Say Привет to her')) > (await seconds('Say')) + (await seconds('Привет')) * 0.8);
  assert.equal(await seconds('<b>**Привет**</b>'), await seconds('Привет'));
  for (const text of ['你好', '日本語です', 'ᚠᚢ', 'Say 你好'])
    await assert.rejects(
      speak(engine(), text),
      refused('ARGUMENT_INVALID', /espeak-ng has no voice here that reads/),
      text,
    );
  assert.ok((await seconds('你好', 'yue')) > 0.3, 'a voice that was chosen reads its own script');
  await assert.rejects(speak(engine(), '<br/> 😀'), refused('ARGUMENT_INVALID', /nothing of this text is spoken/));
});

test('the language of a text is detected when no voice was chosen', async () => {
  const german = 'Guten Tag, wie geht es dir und wie ist das Wetter?';
  assert.equal(await seconds(german), await seconds(german, 'de'));
  assert.notEqual(await seconds(german, 'en-us'), await seconds(german, 'de'));
});

test('the deadline, a cancellation, and a consumer that stops reading end the program', async () => {
  const slow = slowEngine();
  await assert.rejects(
    speak(engine({ command: slow.command, deadlineMs: 300 }), 'Hello.'),
    refused('DEADLINE_EXCEEDED', /300 ms/),
  );
  assert.ok(await gone(slow.pid()), 'after the deadline');

  const abort = new AbortController();
  const speaking = speak(engine({ command: slow.command }), 'Hello.', '', abort.signal);
  setTimeout(() => abort.abort(), 300);
  await assert.rejects(speaking, refused('CANCELLED', /cancelled/));
  assert.ok(await gone(slow.pid()), 'after the cancel');

  for await (const pcm of engine({ command: slow.command }).speak({ text: 'Hello.', voice: '', signal: never })) {
    assert.ok(pcm.length > 0);
    break;
  }
  assert.ok(await gone(slow.pid()), 'after the listener left');
});

test('output that is not WAV is refused', async () => {
  const command = join(folder, 'liar');
  writeFileSync(command, '#!/bin/sh\nprintf "Hello, I am not a WAV file at all."\n');
  chmodSync(command, 0o755);
  await assert.rejects(speak(engine({ command }), 'Hello.'), refused('AUDIO_FORMAT_INVALID', /WAV/));
});
