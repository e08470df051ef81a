import { envName, type Logger, readSecret } from '@talkmesh/service-kit';
import { type ApiKey, parseApiKeys } from './api-keys.js';

const MIN_TOKEN_SECRET_BYTES = 32;
const RELOAD_MS = 5000;

/** What callers and tokens are checked against. */
export interface Secrets {
  readonly apiKeys: readonly ApiKey[];
  /** The first signs new tokens; all of them are accepted. */
  readonly tokenSecrets: readonly string[];
}

/** Settings that hold the secrets or name files with them; an empty one is not set. */
export interface SecretSettings {
  readonly apiKeys: string;
  readonly apiKeysFile: string;
  readonly tokenSecret: string;
  readonly tokenSecretFile: string;
}

/** Reads settings and files. @returns problems, which never contain a secret */
export function readSecrets(settings: SecretSettings): {
  readonly secrets: Secrets;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const keyText = textOf('apiKeys', settings.apiKeys, 'apiKeysFile', settings.apiKeysFile, problems);
  const secretText = textOf('tokenSecret', settings.tokenSecret, 'tokenSecretFile', settings.tokenSecretFile, problems);
  const { keys, problems: wrongKeys } = parseApiKeys(keyText ?? '');
  const tokenSecrets = (secretText ?? '')
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const both = (setting: string): string => `${envName(setting)} or ${envName(`${setting}File`)}`;
  if (keyText !== undefined) problems.push(...wrongKeys.map((wrong) => `${both('apiKeys')}: ${wrong}`));
  if (secretText !== undefined && (tokenSecrets.length === 0 || tokenSecrets.some(isShort)))
    problems.push(
      `${both('tokenSecret')} must hold at least ${MIN_TOKEN_SECRET_BYTES} bytes in each line; make one: openssl rand -hex 32`,
    );
  return { secrets: { apiKeys: keys, tokenSecrets }, problems };
}

const isShort = (secret: string): boolean => Buffer.byteLength(secret) < MIN_TOKEN_SECRET_BYTES;

/** The setting or the content of its file; undefined when that cannot be read, which is a problem of its own. */
function textOf(key: string, value: string, fileKey: string, path: string, problems: string[]): string | undefined {
  if (path === '') return value;
  if (value !== '') problems.push(`${envName(key)} and ${envName(fileKey)} are both set: keep one`);
  return readSecret(fileKey, path, problems);
}

/**
 * Reads the files again and again, because mounted secrets change without a signal, and passes on what has changed. While files are not
 * valid, the last valid secrets stay in force.
 * @returns a function that stops it
 */
export function watchSecrets(
  settings: SecretSettings,
  onChange: (secrets: Secrets) => void,
  log: Logger,
  everyMs = RELOAD_MS,
): () => void {
  if (settings.apiKeysFile === '' && settings.tokenSecretFile === '') return () => undefined;
  let known = fingerprint(readSecrets(settings));
  const check = (): void => {
    const read = readSecrets(settings);
    if (fingerprint(read) === known) return;
    known = fingerprint(read);
    if (read.problems.length > 0) {
      log.error({ problems: read.problems }, 'changed secrets are not valid; the former ones stay in force');
      return;
    }
    onChange(read.secrets);
    log.info({ apiKeys: read.secrets.apiKeys.length }, 'secrets were read again');
  };
  const timer = setInterval(check, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function fingerprint({ secrets, problems }: ReturnType<typeof readSecrets>): string {
  const keys = secrets.apiKeys.map(({ owner, isAdmin, digest }) => [owner, isAdmin, digest.toString('hex')]);
  return JSON.stringify([keys, secrets.tokenSecrets, problems]);
}
