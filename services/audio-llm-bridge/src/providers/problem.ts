import { MeshError } from '@talkmesh/contracts';
import type { ProviderOutput } from './provider.js';

/** A failure of a provider, in words for the people who run the deployment. */
export interface Problem {
  /** Two problems with the same code have the same explanation. */
  readonly code: string;
  readonly message: string;
  /** `fatal`: the same request will fail again until the deployment or the account is changed. */
  readonly severity: 'fatal' | 'temporary';
}

const problemError = ({ code, message }: Problem): MeshError =>
  new MeshError('PROVIDER_FAILED', message, { metadata: { code } });

/** An error that carries a problem through a rejected promise. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** Shorter texts may be part of ordinary words. */
const SHORTEST_KEY_CHARACTERS = 8;

/** Tells each problem once, and again only after the provider has worked in between. Keys are hidden, because providers repeat them. */
export class ProblemReporter {
  readonly #emit: (output: ProviderOutput) => void;
  readonly #keys: readonly string[];
  readonly #told = new Set<string>();

  constructor(emit: (output: ProviderOutput) => void, keys: readonly string[]) {
    this.#emit = emit;
    this.#keys = keys.filter((key) => key.length >= SHORTEST_KEY_CHARACTERS);
  }

  errorOf(problem: Problem | MeshError): MeshError {
    if (problem instanceof MeshError) return problem;
    const message = this.#keys.reduce((text, key) => text.replaceAll(key, '(hidden)'), problem.message);
    return problemError({ ...problem, message });
  }

  report(problem: Problem | MeshError): void {
    const key = problem instanceof MeshError ? problem.message : `${problem.code} ${problem.message}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.#emit({ kind: 'failed', error: this.errorOf(problem) });
  }

  recovered(): void {
    this.#told.clear();
  }
}

export interface ProviderNames {
  /** The provider as people know it, such as `openai-realtime`. */
  readonly provider: string;
  /** Environment variable of the key file. */
  readonly keySetting: string;
  /** Environment variable of the model. */
  readonly modelSetting: string;
  /** Environment variable of the address. */
  readonly urlSetting: string;
}

const MAX_DETAIL_CHARACTERS = 300;

/** What the provider wrote about an error. Anything that looks like a key is removed, because providers repeat parts of it. */
export function withoutKeys(detail: string): string {
  const clean = detail
    .replace(/([?&]key=)[^&\s"']+/gi, '$1(hidden)')
    .replace(/[^\s"']*(?:sk-|AIza|gsk_|xai-)[^\s"',;]{6,}/g, '(hidden)')
    .replace(/(bearer\s+)\S+/gi, '$1(hidden)')
    .replace(/\s+/g, ' ')
    .trim();
  return clean.slice(0, MAX_DETAIL_CHARACTERS);
}

/**
 * Explains a refused request or an error event.
 * @param status HTTP status, 0 when there is none; `code` and `detail` are the provider's own
 */
export function explainRefusal(names: ProviderNames, status: number, code: string, detail: string): Problem {
  const { provider, keySetting, modelSetting, urlSetting } = names;
  const clean = withoutKeys(detail);
  const said = clean === '' ? '' : ` The provider says: ${clean}`;
  const text = `${code} ${clean}`;
  if (/quota|billing|credit|payment/i.test(text) || status === 402)
    return {
      code: 'quota',
      severity: 'fatal',
      message: `The account of ${provider} has no quota left. Check its plan and billing, then create a new session.${said}`,
    };
  if (status === 401 || status === 403 || /api.?key|unauthenticated|unauthorized|authentication|permission/i.test(text))
    return {
      code: 'key',
      severity: 'fatal',
      message: `The key was refused by ${provider}. Put a valid key into the file that ${keySetting} names, then create a new session.${said}`,
    };
  if (status === 429 || /rate.?limit|too many requests|resource.?exhausted|overloaded/i.test(text))
    return {
      code: 'rate-limit',
      severity: 'temporary',
      message: `The rate limit of ${provider} is reached. Wait a moment and speak again, or raise the limit of the account.${said}`,
    };
  if (status === 404 || /model.?not.?found|model_load_error|does not exist/i.test(text))
    return {
      code: 'model',
      severity: 'fatal',
      message: `The server of ${provider} does not know this address or model. Check ${urlSetting} and ${modelSetting}.${said}`,
    };
  if (status === 400 || status === 422)
    return {
      code: code || 'request',
      severity: 'fatal',
      message: `The server of ${provider} refused the request. Check ${modelSetting} and the options of the session.${said}`,
    };
  const what = status > 0 ? `answered with HTTP status ${status}` : 'reported an error';
  return {
    code: code || (status > 0 ? `http-${status}` : 'error'),
    severity: 'temporary',
    message: `The server of ${provider} ${what}. Try again; if it lasts, look at the provider's status page.${said}`,
  };
}

/** Explains a lasting connection that could not be made or was lost; the provider makes a new one by itself. */
export function explainConnection(names: ProviderNames, detail: string): Problem {
  const clean = withoutKeys(detail);
  return {
    code: 'connection',
    severity: 'temporary',
    message: `There is no connection to ${names.provider}${clean === '' ? '' : ` (${clean})`}. It is being tried again; check the network and ${names.urlSetting} if it lasts.`,
  };
}

/**
 * Explains a single request that brought no answer, which is not repeated, because the user waits.
 * @param failure `connection`: the server cannot be reached; `broken`: its answer ended early or cannot be read; `empty`: nothing of it can be spoken
 */
export function explainRequest(
  { provider, urlSetting, modelSetting }: ProviderNames,
  failure: 'connection' | 'broken' | 'empty',
  detail = '',
): Problem {
  const clean = withoutKeys(detail);
  const what = {
    connection: `There is no connection to ${provider}`,
    broken: `The answer of ${provider} could not be read to its end`,
    empty: `The answer of ${provider} has no words`,
  }[failure];
  const check = failure === 'empty' ? `${urlSetting} and ${modelSetting}` : `the network and ${urlSetting}`;
  return {
    code: failure,
    severity: 'temporary',
    message: `${what}${clean === '' ? '' : ` (${clean})`}. Speak again; if it lasts, check ${check}.`,
  };
}
