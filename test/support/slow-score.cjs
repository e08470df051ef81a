// Preloaded into a service under test: every denoising step takes SLOW_SCORE_MS longer, by waiting instead of computing, so that
// the load on the machine stays small and the cost of a chunk is known.
const { isMainThread } = require('node:worker_threads');

const slowerMs = Number(process.env.SLOW_SCORE_MS ?? 0);
if (!isMainThread && slowerMs > 0) {
  const { InferenceSession } = require('onnxruntime-node');
  const { run } = InferenceSession.prototype;
  InferenceSession.prototype.run = async function slowRun(...args) {
    const results = await run.apply(this, args);
    if ('velocity' in results) await new Promise((resolve) => setTimeout(resolve, slowerMs));
    return results;
  };
}
