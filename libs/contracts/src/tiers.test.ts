import assert from 'node:assert/strict';
import { test } from 'node:test';
import { balancedTier, otherTiers, qualityTier, qualityTiers, type TieredModel } from './tiers.js';

const context = { sink: 1, recent: 1, level: 0.1, positions: 'absolute' } as never;
const model = (score: Partial<TieredModel['score']> = {}): TieredModel => ({
  name: 'small',
  chunk: { latentFrames: 3 },
  score: { dit: { context: undefined }, schedule: [1, 0.6], ...score },
});
const best = { schedule: [1, 0.85, 0.6, 0.3] };

test('a model has its own schedule as balanced, and what else it states, the cheapest first', () => {
  assert.deepEqual(qualityTiers(model()), [{ name: 'balanced', size: '3x2', schedule: [1, 0.6], cost: 1 }]);
  const tiers = qualityTiers(model({ tiers: { best, fast: { schedule: [1], cost: 0.7 } } }));
  assert.deepEqual(
    tiers.map(({ name, size, cost }) => [name, size, cost]),
    [
      ['fast', '3x1', 0.7],
      ['balanced', '3x2', 1],
      ['best', '3x4', 2],
    ],
  );
  assert.deepEqual(balancedTier(model({ tiers: { best } })).schedule, [1, 0.6]);
});

test('where a finished chunk takes a pass of its own, the cost without a measurement counts it', () => {
  const video = model({ dit: { context }, schedule: best.schedule, tiers: { fast: { schedule: [1, 0.6] } } });
  assert.deepEqual(
    qualityTiers(video).map(({ cost }) => cost),
    [3 / 5, 1],
  );
});

test('a quality is named or given by its size; another is refused with what the model has', () => {
  const tiered = model({ tiers: { best } });
  for (const [wanted, name] of [
    [undefined, 'balanced'],
    ['', 'balanced'],
    ['balanced', 'balanced'],
    ['3x2', 'balanced'],
    ['best', 'best'],
    ['3x4', 'best'],
  ] as const)
    assert.equal(qualityTier(tiered, wanted).name, name);
  const possible = 'possible: balanced (3x2), best (3x4)';
  for (const wanted of ['fast', '3x3', 'constructor'])
    assert.throws(() => qualityTier(tiered, wanted), {
      reason: 'ARGUMENT_INVALID',
      message: `small has no quality ${wanted}; ${possible}`,
    });
  assert.throws(() => qualityTier(tiered, '7x4'), {
    message: `small has no quality 7x4; ${possible}; the length of chunks is a choice of the deployment, TALKMESH_CHUNK_LATENT_FRAMES`,
  });
});

test('a manifest states tiers by their names, each with noise levels', () => {
  assert.ok(otherTiers.safeParse({ best: { ...best, cost: 1.4 } }).success);
  for (const wrong of [
    { better: best },
    { balanced: best },
    { best: { schedule: [] } },
    { best: { schedule: [0] } },
    { best: { ...best, cost: 0 } },
    { best: { ...best, steps: 4 } },
  ])
    assert.ok(!otherTiers.safeParse(wrong).success, JSON.stringify(wrong));
});
