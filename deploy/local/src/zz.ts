import { findEncoder, VideoFile } from './render/video-file.js';

const e = await findEncoder();
const f = new VideoFile('/tmp/zz.mp4', e, { width: 256, height: 256, fps: 25 });
const i420 = new Uint8Array(98304).fill(128);
const pcm = new Uint8Array(1920).map(() => Math.random() * 255);
const n = Number(process.argv[2]);
const t = setTimeout(() => {
  console.log('stuck');
  process.exit(1);
}, 8000);
for (let i = 0; i < n; i++) {
  i420.fill(i % 255, 0, 65536);
  await f.write(i420, pcm);
  if (process.argv[3]) await new Promise((r) => setTimeout(r, Number(process.argv[3])));
}
await f.finish();
console.log('ok');
clearTimeout(t);
