import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseRenderArgs } from './options.js';

const folder = mkdtempSync(join(tmpdir(), 'talkmesh-options-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const picture = join(folder, 'me.png');
writeFileSync(picture, 'anything');
const parse = (...args: string[]) =>
  parseRenderArgs(['--audio', 'a.wav', '--out', join(folder, 'a.mp4'), ...args], {}).avatar;

test('the avatar is a known one, or a picture with or without landmarks', () => {
  assert.equal(parse('--avatar', 'mia'), 'mia');
  assert.deepEqual(parse('--picture', picture), { path: picture, landmarks: undefined });
  const landmarks = { mouth: [10, 20.5], leftEye: [5, 6], rightEye: [15, 6] };
  assert.deepEqual(parse('--picture', picture, '--landmarks', '10,20.5 5,6 15,6'), { path: picture, landmarks });
  assert.deepEqual(parse('--picture', picture, '--landmarks', ' 10,20.5;5,6  15,6 '), { path: picture, landmarks });
});

test('a model is for a mesh of this command only', () => {
  const all = (...args: string[]) =>
    parseRenderArgs(['--avatar', 'mia', '--audio', 'a.wav', '--out', join(folder, 'a.mp4'), ...args], {}).model;
  assert.deepEqual([all(), all('--model', 'there')], [undefined, 'there']);
  const remote = ['--url', 'http://host:1', '--grpc', 'host:2', '--key', 'k'];
  assert.throws(() => all('--model', 'there', ...remote), /--model is for a mesh of this command/);
});

test('missing, contradictory and malformed avatar flags are refused', () => {
  assert.throws(() => parse(), /--avatar is missing/);
  assert.throws(() => parse('--picture', join(folder, 'no.png')), /there is no file .*no\.png/);
  assert.throws(() => parse('--picture', folder), /there is no file/);
  assert.throws(() => parse('--avatar', 'mia', '--picture', picture), /give one of them/);
  assert.throws(() => parse('--avatar', 'mia', '--landmarks', '1,2 3,4 5,6'), /can only be used with --picture/);
  for (const wrong of ['1,2 3,4', '1,2 3,4 5,6 7,8', '1 2 3', 'a,b c,d e,f'])
    assert.throws(() => parse('--picture', picture, '--landmarks', wrong), /mouth, left eye, right eye/, wrong);
});
