import { type FromChild, meshErrorToWire, type ToChild } from './child-protocol.js';

const STOP_DEADLINE_MS = 2000;

export interface ChildHandlers<In, Out> {
  /** Answers `SupervisedChild.request`. An error that it throws reaches the caller as a MeshError. */
  onRequest(message: In): Promise<Out> | Out;
  /** Receives what `SupervisedChild.send` sends. */
  onMessage?(message: In): void;
  /** Called at SIGTERM and when the parent has exited: release all resources within 2 s. */
  onStop?(): Promise<void> | void;
}

export interface ParentLink<Ev> {
  /** Sends an event to the parent. @returns false when the parent does not keep up or has exited */
  emit(event: Ev): boolean;
}

/**
 * The child's side of SupervisedChild. The child exits with its parent and ignores SIGINT, because Ctrl-C reaches both and the parent
 * decides. @throws Error when the process has no parent with an IPC channel
 */
export function serveParent<In, Out, Ev>(handlers: ChildHandlers<In, Out>): ParentLink<Ev> {
  if (process.send === undefined) throw new Error('this module is a child process: start it with SupervisedChild');
  const post = (message: FromChild<Out, Ev>): boolean => process.connected && (process.send?.(message) ?? false);
  process.on('message', (received) => {
    const message = received as ToChild<In>;
    if (message.kind === 'message') handlers.onMessage?.(message.message);
    else
      Promise.resolve()
        .then(() => handlers.onRequest(message.message))
        .then(
          (reply) => post({ kind: 'reply', id: message.id, reply }),
          (thrown: unknown) => post({ kind: 'error', id: message.id, error: meshErrorToWire(thrown) }),
        );
  });
  let stopping = false;
  const stop = () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref();
    Promise.resolve()
      .then(() => handlers.onStop?.())
      .then(
        () => process.exit(0),
        () => process.exit(1),
      );
  };
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', stop);
  process.on('disconnect', stop);
  post({ kind: 'up' });
  return { emit: (event) => post({ kind: 'event', event }) };
}
