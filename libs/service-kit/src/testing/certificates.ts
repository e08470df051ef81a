import { execFile } from 'node:child_process';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];

export interface CertificateFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate authority for one test run, made with openssl. Nothing of it is stored outside its temporary folder. */
export class TestAuthority implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<TestAuthority> {
    const authority = new TestAuthority(await mkdtemp(join(tmpdir(), 'talkmesh-ca-')));
    const { caFile } = authority;
    await openssl([...NEW_KEY, '-keyout', authority.#path('ca.key'), '-out', caFile, '-subj', '/CN=test authority']);
    return authority;
  }

  get caFile(): string {
    return this.#path('ca.crt');
  }

  /** Issues a certificate for DNS names and the loopback address. The same label again replaces the files, as a rotation does. */
  async issue(label: string, names: readonly string[] = [label]): Promise<CertificateFiles> {
    const [certFile, keyFile] = [this.#path(`${label}.crt`), this.#path(`${label}.key`)];
    const alternatives = [...names.map((name) => `DNS:${name}`), 'IP:127.0.0.1'].join(',');
    await openssl([
      ...['-CA', this.caFile, '-CAkey', this.#path('ca.key'), ...NEW_KEY, '-subj', `/CN=${label}`],
      ...['-addext', `subjectAltName=${alternatives}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
      ...['-keyout', `${keyFile}.new`, '-out', `${certFile}.new`],
    ]);
    await rename(`${keyFile}.new`, keyFile);
    await rename(`${certFile}.new`, certFile);
    return { caFile: this.caFile, certFile, keyFile };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }
}

const openssl = (args: readonly string[]): Promise<unknown> => run('openssl', ['req', '-x509', ...args]);
