import { MeshError } from '@talkmesh/contracts';
import { APIConnectionError, APIConnectionTimeoutError, APIError, APIUserAbortError, OpenAI } from 'openai';
import { explainRefusal, explainRequest, type Problem, ProblemError, type ProviderNames } from '../problem.js';

/** One of the three services of a cascade. */
export interface Endpoint {
  /** Base address such as `http://127.0.0.1:11434/v1`. */
  readonly url: string;
  readonly model: string;
  readonly names: ProviderNames;
  /** Reads the deployment's key; empty: the server needs none. @throws MeshError PROVIDER_FAILED */
  readonly readKey: () => string;
}

/** The official client for one endpoint. Nothing is tried twice, because the user waits. */
export function clientOf(endpoint: Endpoint, ownKey: string, deadlineMs: number): OpenAI {
  const apiKey = ownKey || endpoint.readKey() || 'none';
  // The client's own log would repeat what people say.
  return new OpenAI({ apiKey, baseURL: endpoint.url, timeout: deadlineMs, maxRetries: 0, logLevel: 'off' });
}

/** @returns undefined when the request was cancelled on purpose */
export function problemOf(thrown: unknown, names: ProviderNames): Problem | MeshError | undefined {
  if (thrown instanceof ProblemError) return thrown.problem;
  if (thrown instanceof APIUserAbortError) return undefined;
  if (thrown instanceof APIConnectionTimeoutError) return explainRequest(names, 'connection', 'no answer in time');
  if (thrown instanceof APIConnectionError) return explainRequest(names, 'connection', causeOf(thrown.cause));
  if (thrown instanceof APIError)
    return explainRefusal(names, thrown.status ?? 0, String(thrown.code ?? thrown.type ?? ''), thrown.message);
  const error = MeshError.from(thrown);
  return error.reason === 'INTERNAL' ? explainRequest(names, 'broken', (thrown as Error).message) : error;
}

function causeOf(cause: unknown): string {
  const { code, message, cause: deeper } = (cause ?? {}) as { code?: string; message?: string; cause?: unknown };
  return code ?? (deeper === undefined ? (message ?? '') : causeOf(deeper));
}
