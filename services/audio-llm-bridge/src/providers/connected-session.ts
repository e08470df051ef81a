import type { Logger } from '@talkmesh/service-kit';
import type { ProviderSession } from './provider.js';
import type { Reconnecting } from './reconnecting.js';

/** Reacts to the inputs of a session and to the messages of its provider. */
export interface Conversation<M> extends Required<Pick<ProviderSession, 'push' | 'cancel' | 'answerTool'>> {
  receive(message: M): void;
}

/**
 * Opens a session whose conversation goes over a connection that is made again when it is lost.
 * @param patiently whether the session goes on while the first connection fails, as after a takeover
 * @throws MeshError PROVIDER_FAILED
 */
export async function openConnected<M, L>(
  conversation: Conversation<M>,
  connection: Reconnecting<L>,
  patiently: boolean,
): Promise<ProviderSession> {
  if (patiently) connection.startPatiently();
  else await connection.start();
  return {
    push: (input) => conversation.push(input),
    cancel: (cut) => conversation.cancel(cut),
    answerTool: (result) => conversation.answerTool(result),
    [Symbol.asyncDispose]: async () => connection[Symbol.dispose](),
  };
}

/** Passes messages on. An error in there would end the process, because the socket calls it. */
export function receiverOf<M>(conversation: Conversation<M>, log: Logger, kindOf: (message: M) => string) {
  return (message: M): void => {
    try {
      conversation.receive(message);
    } catch (err) {
      log.error({ err, kind: kindOf(message) }, 'a message of the provider could not be handled');
    }
  };
}
