/** A Prometheus beside the node watches two incidents and fires the chart's alerts. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceName } from '@talkmesh/contracts';
import { drawBoard } from '../../../test/monitoring/proof/draw.js';
import { takePictures } from '../../../test/monitoring/proof/pictures.js';
import { Prometheus, type Scraped, type Span } from '../../../test/monitoring/proof/prometheus.js';
import { BOARDS } from '../../../test/monitoring/queries.js';
import { rest } from '../../../test/support/record-call.js';
import type { RemoteMesh } from '../../local/src/render/options.js';
import { disturbedCall, firstAvatar, gatewayOf, makeCall, placementOf } from '../calls.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';
import { killContainer } from '../node/worker-node.js';
import { CACHE } from '../programs.js';
import { CHART, type Check, inNamespace, nameOf } from './check.js';
import { CALL_SECONDS, podsOf, scale, workerAfter } from './rolled-calls.js';

/** The dashboards of the last run. */
const PICTURES = join(CACHE, 'pictures');
const KILLED = 'score-model';
const MISSING = 'vae-decode';
const KILLS = 3;
const QUIET_MS = 20_000;
const AT_FRAME = 25;
const FOLLOW_MS = 1000;
const POLL_MS = 1000;
/** The alert on a missing service waits for two minutes. */
const FIRES_MS = 200_000;
const now = (): number => Date.now() / 1000;

/** Where the pods of the services serve their metrics. */
async function scraped(kubectl: Kubectl): Promise<Scraped[]> {
  const { items } = await kubectl.get('pods', inNamespace, '--field-selector=status.phase=Running');
  return items.flatMap(({ metadata, spec, status }: ClusterObject): Scraped[] => {
    const ports: readonly { name: string; containerPort: number }[] = spec.containers[0].ports ?? [];
    const admin = ports.find(({ name }) => name === 'admin');
    if (admin === undefined || status.podIP === undefined) return [];
    const job = metadata.labels['app.kubernetes.io/component'];
    return [{ job, address: `${status.podIP}:${admin.containerPort}` }];
  });
}

/** The pod whose container calls itself `instanceId`; a container that is started again has another one. */
async function podOf(kubectl: Kubectl, service: ServiceName, instanceId: string): Promise<string> {
  for (const pod of await podsOf(kubectl, service))
    if ((await kubectl.kubectl('logs', inNamespace, pod)).includes(`"instanceId":"${instanceId}"`)) return pod;
  throw new Error(`no pod of ${service} has logged as ${instanceId}`);
}

/** Ends the worker at once, as when it crashes. */
async function kill(kubectl: Kubectl, service: ServiceName, instanceId: string): Promise<void> {
  const { status } = await kubectl.get('pod', await podOf(kubectl, service, instanceId), inNamespace);
  await killContainer(status.containerStatuses[0].containerID);
}

/** Kills the worker of the only call, each time the one that has it then. */
async function loseWorkers(kubectl: Kubectl, mesh: RemoteMesh): Promise<void> {
  for (let lost = 0; lost < KILLS; lost++) {
    await kubectl.kubectl('rollout', 'status', inNamespace, `deployment/${nameOf(KILLED)}`, '--timeout=120s');
    const old = (await placementOf(mesh))[KILLED] ?? '';
    await kill(kubectl, KILLED, old);
    await workerAfter(mesh, KILLED, old);
  }
}

/** Asks for calls that nothing can serve, until `alert` fires. @returns seconds until then */
async function untilFiring(prometheus: Prometheus, alert: string, mesh: RemoteMesh): Promise<number> {
  const avatar = await firstAvatar(mesh);
  const from = now();
  for (const end = Date.now() + FIRES_MS; ; await sleep(POLL_MS)) {
    const span: Span = { fromSeconds: from, toSeconds: now() };
    if ((await prometheus.firing(span)).has(alert)) return Math.round(now() - from);
    if (Date.now() > end) throw new Error(`${alert} does not fire within ${FIRES_MS / 1000} s`);
    const { status } = await rest(mesh, 'POST', '/v1/sessions', { avatar, provider: 'parrot', output: 'webrtc' });
    if (status < 500) throw new Error(`a call without ${MISSING} was answered ${status}`);
  }
}

async function untilSilent(prometheus: Prometheus, alert: string): Promise<void> {
  for (const end = Date.now() + FIRES_MS; ; await sleep(POLL_MS)) {
    const firing = await prometheus.query(`ALERTS{alertname="${alert}",alertstate="firing"}`, now());
    if (firing.length === 0) return;
    if (Date.now() > end) throw new Error(`${alert} still fires ${FIRES_MS / 1000} s after its cause ended`);
  }
}

export const incident: Check = {
  name: `alerts fire when ${KILLED} is killed ${KILLS} times in a call and when no ${MISSING} is left, and end with the cause`,
  async run(kubectl) {
    const mesh = await gatewayOf(kubectl);
    await using prometheus = await Prometheus.start(`${CHART}/files/rules.json`);
    const follow = async (): Promise<void> => prometheus.scrape(await scraped(kubectl));
    await scale(kubectl, KILLED, 2);
    await follow();
    const following = setInterval(() => void follow().catch(() => undefined), FOLLOW_MS);
    using _ = { [Symbol.dispose]: () => clearInterval(following) };
    const begin = now();
    await Promise.all([makeCall(mesh, { seconds: 5 }), sleep(QUIET_MS)]);
    const before = await prometheus.firing({ fromSeconds: begin, toSeconds: now() });
    if (before.size > 0) throw new Error(`before the incidents fires ${[...before].join(', ')}`);
    const event = () => loseWorkers(kubectl, mesh);
    const { frames } = await disturbedCall(mesh, { seconds: CALL_SECONDS, atFrame: AT_FRAME, event });
    await kubectl.kubectl('scale', inNamespace, `deployment/${nameOf(MISSING)}`, '--replicas=0');
    const seconds = await untilFiring(prometheus, 'TalkmeshNoWorkerReady', mesh);
    await scale(kubectl, MISSING, 1);
    await untilSilent(prometheus, 'TalkmeshNoWorkerReady');
    const whole: Span = { fromSeconds: begin, toSeconds: now() };
    await makeCall(mesh, { seconds: 2 });
    await scale(kubectl, KILLED, 1);
    const fired = await prometheus.firing(whole);
    if (!fired.has('TalkmeshWorkersLost')) throw new Error('TalkmeshWorkersLost does not fire');
    const boards = await Promise.all(
      Object.entries(BOARDS).map(async ([name, board]) => [name, await drawBoard(prometheus, board, whole)] as const),
    );
    await takePictures(new Map(boards), PICTURES);
    return `${[...fired].sort().join(', ')}; no ${MISSING} was told after ${seconds} s; the call with ${KILLS} kills has all ${frames} frames, every sample once; pictures in ${PICTURES}`;
  },
};
