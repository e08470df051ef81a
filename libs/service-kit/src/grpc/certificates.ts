import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { experimental } from '@grpc/grpc-js';
import { MeshError } from '@talkmesh/contracts';
import { envName } from '../config.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../metrics.js';

type Provider = experimental.CertificateProvider;
type CaListener = Parameters<Provider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0];

export interface CertificatePaths {
  readonly grpcCaFile: string;
  readonly grpcCertFile: string;
  readonly grpcKeyFile: string;
}

interface Loaded {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
}

/**
 * Certificate, key and authority of this process, from files that are read again and again. New connections use the newest that fit
 * together; while the files do not, for example in the middle of a rotation, the earlier ones stay in force.
 */
export class Certificates implements Provider, Disposable {
  readonly #paths: CertificatePaths;
  readonly #onLoad: (loaded: Loaded) => void;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();
  readonly #timer: NodeJS.Timeout;
  #loaded: Loaded;

  /** @throws MeshError CONFIG_INVALID */
  constructor(paths: CertificatePaths, log: Logger, metrics: Metrics, reloadMs: number) {
    this.#paths = paths;
    const expiry = metrics.gauge(
      'talkmesh_certificate_expiry_timestamp_seconds',
      'When the certificate for gRPC inside the mesh expires, unix seconds',
    );
    this.#onLoad = ({ certificate }) => expiry.set(Date.parse(new X509Certificate(certificate).validTo) / 1000);
    this.#loaded = this.#load();
    this.#timer = setInterval(() => this.#reload(log), reloadMs).unref();
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    process.nextTick(listener, { caCertificate: this.#loaded.ca });
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(listener, this.#loaded);
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #reload(log: Logger): void {
    const before = this.#loaded;
    try {
      this.#loaded = this.#load();
    } catch (err) {
      log.error({ err }, 'the certificates were not read again, those that were read before stay in force');
      return;
    }
    const { ca, certificate, privateKey } = this.#loaded;
    if (ca.equals(before.ca) && certificate.equals(before.certificate) && privateKey.equals(before.privateKey)) return;
    log.info('new certificates for gRPC inside the mesh are in force');
    for (const listener of this.#identityListeners) listener(this.#loaded);
    for (const listener of this.#caListeners) listener({ caCertificate: ca });
  }

  #load(): Loaded {
    const loaded = {
      ca: this.#read('grpcCaFile'),
      certificate: this.#read('grpcCertFile'),
      privateKey: this.#read('grpcKeyFile'),
    };
    try {
      createSecureContext({ ca: loaded.ca, cert: loaded.certificate, key: loaded.privateKey });
      this.#onLoad(loaded);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const names = `${envName('grpcCaFile')}, ${envName('grpcCertFile')}, ${envName('grpcKeyFile')}`;
      throw new MeshError('CONFIG_INVALID', `${names} do not fit together or are not PEM files (${why})`, { cause });
    }
    return loaded;
  }

  #read(setting: keyof CertificatePaths): Buffer {
    try {
      return readFileSync(this.#paths[setting]);
    } catch (cause) {
      throw new MeshError(
        'CONFIG_INVALID',
        `${envName(setting)}: ${this.#paths[setting]} cannot be read: check the path and its permissions`,
        { cause },
      );
    }
  }
}
