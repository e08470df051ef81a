import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useSoftwareGpu } from '@talkmesh/inference/testing';
import { talkmesh } from '../support/cli.js';

test('doctor finds the providers that run a graph, and names the Vulkan drivers', async () => {
  useSoftwareGpu();
  const { code, stdout } = await talkmesh(['doctor', '--provider', 'webgpu']);
  assert.match(stdout, /^yes +cpu /m);
  assert.match(stdout, /^yes +webgpu +a test graph gave the right result\n +Vulkan drivers: \S+\.json/m);
  assert.match(stdout, /^no +cuda:0 /m);
  assert.equal(code, 0, stdout);
});

test('doctor says what to do about a provider that is wanted and not available', async () => {
  const lost = await talkmesh(['doctor', '--provider', 'webgpu'], {
    env: { VK_ICD_FILENAMES: '/nowhere/driver.json' },
  });
  assert.equal(lost.code, 1);
  assert.match(lost.stdout, /^NO +webgpu .*No supported adapters.*libvulkan1/m);
  assert.match(lost.stdout, /Vulkan drivers: none/);
  const cuda = await talkmesh(['doctor', '--provider', 'cuda:1']);
  assert.equal(cuda.code, 1);
  assert.match(cuda.stdout, /^NO +cuda:1 .*libonnxruntime_providers_cuda\.so/m);
  const wrong = await talkmesh(['doctor', '--provider', 'tpu']);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--provider is cpu, webgpu or cuda/);
});
