import { createLogger, createMetrics, SupervisedChild } from '@talkmesh/service-kit';
import type { IceServer } from '../ice-servers.js';
import type { PeerAnswer, PeerCommand, PeerReport } from './messages.js';

const DEADLINE_MS = 60_000;
const POLL_MS = 25;

/** Stands in for a browser: a WebRTC peer in a process of its own, on the loopback only. The process is not restarted. */
export class TestPeer implements AsyncDisposable {
  readonly #child = new SupervisedChild<PeerCommand, PeerAnswer>({
    name: 'test-peer',
    module: new URL('./peer-process.ts', import.meta.url),
    log: createLogger({ service: 'test-peer', instanceId: 'test', level: 'silent', pretty: false }),
    metrics: createMetrics({ defaults: false }),
    backoff: { minMs: 3_600_000, maxMs: 3_600_000 },
  });

  /** Creates an offer with all its candidates: WHEP with `receive`, WHIP with `sendAudio`. */
  async offer(options: {
    receive?: readonly ('audio' | 'video')[];
    sendAudio?: boolean;
    relay?: IceServer;
  }): Promise<string> {
    const answer = await this.#ask({
      op: 'offer',
      receive: options.receive ?? [],
      sendAudio: options.sendAudio ?? false,
      ...(options.relay !== undefined && { relay: options.relay }),
    });
    return 'sdp' in answer ? answer.sdp : '';
  }

  /** Begins an ICE restart. @returns the new offer with all its candidates */
  async restart(): Promise<string> {
    const answer = await this.#ask({ op: 'restart' });
    return 'sdp' in answer ? answer.sdp : '';
  }

  async accept(sdp: string): Promise<void> {
    await this.#ask({ op: 'accept', sdp });
  }

  /** Sends a sine from now on; amplitude 0 means silence. */
  async tone(hz: number, amplitude: number): Promise<void> {
    await this.#ask({ op: 'tone', hz, amplitude });
  }

  async report(): Promise<PeerReport> {
    const answer = await this.#ask({ op: 'report' });
    if ('report' in answer) return answer.report;
    throw new Error('the peer process gave no report');
  }

  /** Polls until `wanted` accepts the report. @throws Error with the last report after 20 s */
  async until(wanted: (report: PeerReport) => boolean): Promise<PeerReport> {
    const untilMs = performance.now() + DEADLINE_MS;
    for (;;) {
      const report = await this.report();
      if (wanted(report)) return report;
      if (performance.now() > untilMs)
        throw new Error(
          `the peer did not reach the expected state: ${JSON.stringify({ ...report, lumas: report.lumas.length })}`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Closes the connection, as a browser does when its page is closed. */
  async close(): Promise<void> {
    await this.#ask({ op: 'close' });
  }

  /** Kills the process, so that the connection is not closed. */
  kill(): void {
    if (this.#child.pid !== undefined) process.kill(this.#child.pid, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.dispose();
  }

  #ask(command: PeerCommand): Promise<PeerAnswer> {
    return this.#child.request(command, { deadlineMs: DEADLINE_MS });
  }
}
