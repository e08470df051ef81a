/** Calls through the mesh from the node: speech in, frames out, through the gateway's Service. */
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayClient } from '../local/src/render/gateway-client.js';
import type { RemoteMesh } from '../local/src/render/options.js';
import { recordSession, type SessionSummary } from '../local/src/render/recorded-session.js';
import { CallCheck, syllables } from '../local/src/smoke.js';
import { inNamespace, nameOf } from './checks/check.js';
import type { Kubectl } from './kubectl.js';

const CALL_MS = 300_000;
const REST_MS = 20_000;

export interface CallOptions {
  readonly seconds: number;
  /** Called for every frame and awaited: while it waits, the mesh waits for its viewer. */
  readonly onFrame?: (index: number, fps: number) => Promise<void>;
}

/** Addresses of the gateway's Service, and the API key. @throws Error when the chart is not installed */
export async function gatewayOf(kubectl: Kubectl): Promise<RemoteMesh> {
  const { spec } = await kubectl.get('service', nameOf('gateway'), inNamespace);
  const { data } = await kubectl.get('secret', nameOf('auth'), inNamespace);
  return {
    httpUrl: `http://${spec.clusterIP}:80`,
    grpcAddress: `${spec.clusterIP}:9090`,
    apiKey: Buffer.from(data['api-keys'], 'base64').toString(),
  };
}

/** One call with a fixed seed. @throws MeshError when a frame is missing or the sound is not what was sent, sample by sample */
export async function makeCall(mesh: RemoteMesh, { seconds, onFrame }: CallOptions): Promise<SessionSummary> {
  using client = new GatewayClient(mesh);
  const signal = AbortSignal.timeout(CALL_MS);
  const avatar = await firstAvatar(mesh);
  const speech = syllables(seconds);
  const check = new CallCheck(speech);
  const summary = await recordSession({ client, avatar, seed: 7, badge: false, speech, signal }, async (frame, fps) => {
    check.take(frame);
    await onFrame?.(frame.index, fps);
  });
  check.finish();
  return summary;
}

export interface Disturbance<T> {
  readonly seconds: number;
  /** Number of the frame after which `event` begins. */
  readonly atFrame: number;
  readonly event: () => Promise<T>;
}

/**
 * A call at real speed until the event is over, then as fast as possible. Its last two seconds wait for the event, so that it lies within the call
 * on a slow machine too. @throws MeshError as `makeCall`, or what the event throws
 */
export async function disturbedCall<T>(
  mesh: RemoteMesh,
  { seconds, atFrame, event }: Disturbance<T>,
): Promise<SessionSummary & { readonly result: T }> {
  let pending: Promise<T> | undefined;
  let isOver = false;
  const begin = (): Promise<T> => {
    const end = (): void => {
      isOver = true;
    };
    const begun = event();
    begun.then(end, end);
    return begun;
  };
  const summary = await makeCall(mesh, {
    seconds,
    async onFrame(index, fps) {
      if (index === atFrame) pending = begin();
      if (index > (seconds - 2) * fps) await pending;
      else if (!isOver) await sleep(1000 / fps);
    },
  });
  if (pending === undefined) throw new Error(`the call has no frame ${atFrame}`);
  return { ...summary, result: await pending };
}

/** @throws Error when the model has no avatars */
export async function firstAvatar(mesh: RemoteMesh): Promise<string> {
  const { avatars } = await ask<{ avatars: readonly { id: string }[] }>(mesh, '/v1/avatars');
  if (avatars[0] === undefined) throw new Error('the model of this mesh has no avatars');
  return avatars[0].id;
}

/** Where the stages of the only open session run. */
export async function placementOf(mesh: RemoteMesh): Promise<Readonly<Record<string, string>>> {
  const { sessions } = await ask<{ sessions: readonly { id: string; state: string }[] }>(mesh, '/v1/sessions');
  const [session, ...others] = sessions.filter(({ state }) => state === 'open');
  if (session === undefined || others.length > 0)
    throw new Error(`${others.length + 1} sessions are open instead of one`);
  return (await ask<{ placement: Record<string, string> }>(mesh, `/v1/sessions/${session.id}`)).placement;
}

async function ask<T>(mesh: RemoteMesh, path: string): Promise<T> {
  const response = await fetch(`${mesh.httpUrl}${path}`, {
    headers: { authorization: `Bearer ${mesh.apiKey}` },
    signal: AbortSignal.timeout(REST_MS),
  });
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as T;
}
