import type { RunningService } from '../process/context.js';
import type { OpenRequest } from '../stage/worker.js';
import type { TestContext } from './context.js';

/** A worker that runs in the test's process. */
export class TestWorker<C> implements AsyncDisposable {
  readonly context: TestContext<C>;
  readonly service: RunningService;

  private constructor(context: TestContext<C>, service: RunningService) {
    this.context = context;
    this.service = service;
  }

  static async start<C>(
    context: TestContext<C>,
    run: (context: TestContext<C>) => Promise<RunningService>,
  ): Promise<TestWorker<C>> {
    await context.retain();
    return new TestWorker(context, await run(context));
  }

  async open(request: Omit<OpenRequest, 'epoch' | 'instanceId'>): Promise<void> {
    await this.service.worker?.open({ epoch: 0, instanceId: '', ...request }, new AbortController().signal);
  }

  /** Ends it as SIGKILL would: its connection is lost, nothing is closed or announced. */
  async die(): Promise<void> {
    await this.context[Symbol.asyncDispose]();
  }

  /** Value of the metric's first series with these labels, 0 without one. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const found = await this.context.metrics.registry.getSingleMetric(name)?.get();
    const value = found?.values.find((entry) => Object.entries(labels).every(([key, is]) => entry.labels[key] === is));
    return value?.value ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { sessionId } of this.service.worker?.stats() ?? [])
      await this.service.worker?.close(sessionId, 'ended');
    await this.context[Symbol.asyncDispose]();
    await this.service[Symbol.asyncDispose]();
  }
}
