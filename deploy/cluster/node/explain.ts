import { inNamespace } from '../checks/check.js';
import type { ClusterObject, Kubectl } from '../kubectl.js';

/** Says what a person would look at first when a check of the pods failed. */
export async function explain(kubectl: Kubectl, say: (line: string) => void): Promise<void> {
  const show = async (...args: readonly string[]): Promise<void> =>
    say(await kubectl.kubectl(...args).catch((error: Error) => error.message));
  await show('get', 'pods', inNamespace, '--output=wide');
  await show('get', 'events', inNamespace, '--field-selector=type=Warning', '--sort-by=.lastTimestamp');
  const { items }: { items: readonly ClusterObject[] } = await kubectl.get('pods', inNamespace);
  for (const { metadata } of items) {
    say(`--- ${metadata.name}`);
    await show('logs', inNamespace, metadata.name, '--tail=5', '--all-containers');
  }
}
