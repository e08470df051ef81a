import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from '@talkmesh/service-kit/testing';
import { freePort } from '../../support/free-port.js';
import { prometheusFolder } from '../promtool.js';

/** A process to scrape. */
export interface Scraped {
  readonly job: string;
  readonly address: string;
}

export interface Result {
  readonly metric: Readonly<Record<string, string>>;
  /** Unix seconds and values. */
  readonly values: readonly (readonly [number, number])[];
}

/** A stretch of time, Unix seconds. */
export interface Span {
  readonly fromSeconds: number;
  readonly toSeconds: number;
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: unknown;
}
interface Sampled {
  readonly metric: Result['metric'];
  readonly value?: [number, string];
  readonly values?: [number, string][];
}

export const SCRAPE_SECONDS = 2;
const START_MS = 60_000;

/** A real Prometheus on the loopback interface, with the rules of the chart and storage for exemplars. */
export class Prometheus implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #process: ChildProcess;

  static async start(rules: string): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'talkmesh-prometheus-'));
    const port = await freePort();
    const seconds = `${SCRAPE_SECONDS}s`;
    // JSON is YAML.
    const config = {
      global: { scrape_interval: seconds, scrape_timeout: seconds, evaluation_interval: seconds },
      rule_files: [resolve(rules)],
      scrape_configs: [
        { job_name: 'talkmesh', file_sd_configs: [{ files: [join(folder, 'targets.json')], refresh_interval: '1s' }] },
      ],
    };
    await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
    await writeFile(join(folder, 'targets.json'), '[]');
    const child = spawn(
      join(await prometheusFolder(), 'prometheus'),
      [
        ...[`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`],
        ...[`--web.listen-address=127.0.0.1:${port}`, '--enable-feature=exemplar-storage'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr?.pipe(createWriteStream(join(folder, 'log')));
    const prometheus = new Prometheus(folder, `http://127.0.0.1:${port}`, child);
    const isReady = (): Promise<boolean> =>
      fetch(`${prometheus.url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until('Prometheus', isReady, START_MS);
    return prometheus;
  }

  private constructor(folder: string, url: string, child: ChildProcess) {
    this.#folder = folder;
    this.url = url;
    this.#process = child;
  }

  /** The instances of a job are numbered as they are given, so that a restarted process stays one instance. */
  async scrape(targets: readonly Scraped[]): Promise<void> {
    const groups = targets.map(({ job, address }, index) => ({
      targets: [address],
      labels: { job, instance: `${job}-${targets.slice(0, index).filter((other) => other.job === job).length + 1}` },
    }));
    await writeFile(join(this.#folder, 'targets.json'), JSON.stringify(groups));
  }

  /** @throws Error with Prometheus' own words */
  async query(expr: string, atSeconds: number): Promise<Result[]> {
    const result = (await this.#ask('query', { query: expr, time: String(atSeconds) })) as { result: unknown };
    // A scalar is one sample without labels.
    if (!Array.isArray(result.result) || typeof result.result[0] === 'number')
      return [{ metric: {}, values: [numbers(result.result as [number, string])] }];
    return (result.result as Sampled[]).map(({ metric, value }) => ({ metric, values: value ? [numbers(value)] : [] }));
  }

  /** @throws Error with Prometheus' own words */
  async queryRange(expr: string, fromSeconds: number, toSeconds: number, stepSeconds: number): Promise<Result[]> {
    const range = { start: String(fromSeconds), end: String(toSeconds), step: String(stepSeconds) };
    const { result } = (await this.#ask('query_range', { query: expr, ...range })) as { result: Sampled[] };
    return result.map(({ metric, values = [] }) => ({ metric, values: values.map(numbers) }));
  }

  /** Names of the alerts that fired at any time of the span. */
  async firing({ fromSeconds, toSeconds }: Span): Promise<ReadonlySet<string | undefined>> {
    const series = await this.queryRange('ALERTS{alertstate="firing"}', fromSeconds, toSeconds, SCRAPE_SECONDS);
    return new Set(series.map(({ metric }) => metric['alertname']));
  }

  async exemplars(expr: string, fromSeconds: number, toSeconds: number): Promise<Readonly<Record<string, string>>[]> {
    const range = { start: String(fromSeconds), end: String(toSeconds) };
    const series = (await this.#ask('query_exemplars', { query: expr, ...range })) as {
      readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>> }[];
    }[];
    return series.flatMap(({ exemplars }) => exemplars.map(({ labels }) => labels));
  }

  async #ask(path: string, body: Record<string, string>): Promise<unknown> {
    const response = await fetch(`${this.url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(body) });
    const { status, error, data } = (await response.json()) as Answer;
    if (status !== 'success') throw new Error(`${body['query']}: ${error}`);
    return data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) {
      const ended = new Promise((done) => this.#process.once('exit', done));
      this.#process.kill('SIGTERM');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const numbers = ([at, value]: [number, string]): readonly [number, number] => [at, Number(value)];
