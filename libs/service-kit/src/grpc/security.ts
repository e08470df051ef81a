import type { PeerCertificate } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  experimental,
  InterceptingCall,
  type Interceptor,
  type Metadata,
  ServerCredentials,
} from '@grpc/grpc-js';
import { MeshError, PIPELINE, SERVICES, type ServiceName } from '@talkmesh/contracts';
import { type BaseConfig, envName } from '../config.js';
import type { Logger } from '../logging.js';
import type { Metrics } from '../metrics.js';
import { type CertificatePaths, Certificates } from './certificates.js';
import { SharedSecret } from './shared-secret.js';

/** Metadata key of the shared secret. */
export const SECRET_KEY = 'talkmesh-secret';
const RELOAD_MS = 5000;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/;

/** How a client proves who it is, and checks the server. */
export interface ClientSecurity {
  readonly credentials: ChannelCredentials;
  readonly interceptors: readonly Interceptor[];
  readonly options: ChannelOptions;
}

/** What a server requires of its callers. */
export interface ServerSecurity {
  readonly credentials: ServerCredentials;
  /** @returns why the call is refused, or undefined */
  refusal(metadata: Metadata, certificate: PeerCertificate | undefined): MeshError | undefined;
}

/** Plain text without proof: for tests and for the gateway's public port, where every call carries a key or a token. */
export const PLAIN_CLIENT: ClientSecurity = {
  credentials: credentials.createInsecure(),
  interceptors: [],
  options: {},
};
export const OPEN_SERVER: ServerSecurity = {
  credentials: ServerCredentials.createInsecure(),
  refusal: () => undefined,
};

type Settings = CertificatePaths & Pick<BaseConfig, 'grpcHost' | 'grpcSecretFile'>;

export interface GrpcSecurityOptions {
  readonly service: ServiceName;
  readonly config: Settings;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How often the files are read again, milliseconds. */
  readonly reloadMs?: number;
}

/** The services that call a service: the pipeline table read backwards. None call the gateway, whose port is public. */
export const callersOf = (service: ServiceName): ServiceName[] =>
  SERVICES.filter((caller) => PIPELINE[caller].calls.includes(service));

/** gRPC inside the mesh: a shared secret, mutual TLS, or both. */
export class GrpcSecurity implements Disposable {
  readonly client: ClientSecurity;
  readonly server: ServerSecurity;
  readonly #files: readonly Disposable[];

  /** @throws MeshError CONFIG_INVALID: a file is missing or wrong, or the port would be open to everyone */
  constructor({ service, config, log, metrics, reloadMs = RELOAD_MS }: GrpcSecurityOptions) {
    const callers = callersOf(service);
    if (callers.length > 0) assertNotOpen(config);
    const secret = config.grpcSecretFile === '' ? undefined : new SharedSecret(config.grpcSecretFile, log, reloadMs);
    const certificates = config.grpcCertFile === '' ? undefined : new Certificates(config, log, metrics, reloadMs);
    this.#files = [secret, certificates].filter((file) => file !== undefined);
    this.client = clientSecurity(secret, certificates, PIPELINE[service].calls);
    this.server = callers.length === 0 ? OPEN_SERVER : serverSecurity(secret, certificates, callers);
  }

  [Symbol.dispose](): void {
    for (const file of this.#files) file[Symbol.dispose]();
  }
}

function assertNotOpen({ grpcHost, grpcSecretFile, grpcCertFile }: Settings): void {
  if (LOOPBACK.test(grpcHost) || grpcSecretFile !== '' || grpcCertFile !== '') return;
  throw new MeshError(
    'CONFIG_INVALID',
    `${envName('grpcHost')}=${grpcHost} would let everyone who reaches the port control this service: set ${envName('grpcSecretFile')}, or ${envName('grpcCaFile')} with ${envName('grpcCertFile')} and ${envName('grpcKeyFile')}, or listen on 127.0.0.1`,
  );
}

function clientSecurity(
  secret: SharedSecret | undefined,
  certificates: Certificates | undefined,
  servers: readonly ServiceName[],
): ClientSecurity {
  const sendSecret =
    (sent: SharedSecret): Interceptor =>
    (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start(metadata, listener, next) {
          metadata.set(SECRET_KEY, sent.current);
          next(metadata, listener);
        },
      });
  return {
    credentials:
      certificates === undefined
        ? credentials.createInsecure()
        : experimental.createCertificateProviderChannelCredentials(certificates, certificates, {
            // Workers are reached by address, so the certificate names the service and not the host.
            checkServerIdentity: (_host, certificate) =>
              namesIn(certificate).some((name) => includes(servers, name))
                ? undefined
                : new Error(`the certificate names none of ${servers.join(', ')}`),
          }),
    interceptors: secret === undefined ? [] : [sendSecret(secret)],
    // Addresses of workers are often IP addresses, which TLS does not allow as a server name.
    options: certificates === undefined ? {} : { 'grpc.ssl_target_name_override': 'talkmesh' },
  };
}

function serverSecurity(
  secret: SharedSecret | undefined,
  certificates: Certificates | undefined,
  callers: readonly ServiceName[],
): ServerSecurity {
  return {
    credentials:
      certificates === undefined
        ? ServerCredentials.createInsecure()
        : // Probes of grpc.health.v1 have no certificate, so its absence is refused per call.
          experimental.createCertificateProviderServerCredentials(certificates, certificates, false),
    refusal(metadata, certificate) {
      if (certificates !== undefined && !namesIn(certificate).some((name) => includes(callers, name)))
        return new MeshError(
          'PERMISSION_DENIED',
          `only ${callers.join(', ')} may call this service: use a client certificate of the mesh with that DNS name`,
        );
      if (secret !== undefined && !secret.accepts(String(metadata.get(SECRET_KEY)[0] ?? '')))
        return new MeshError(
          'TOKEN_INVALID',
          `the caller did not send the shared secret of this mesh: give both sides the same ${envName('grpcSecretFile')}`,
        );
      return undefined;
    },
  };
}

const includes = (services: readonly ServiceName[], name: string): boolean =>
  services.some((service) => service === name);

/** DNS names of a certificate. */
function namesIn(certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined): string[] {
  const entries = certificate?.subjectaltname?.split(', ') ?? [];
  return entries.flatMap((entry) => (entry.startsWith('DNS:') ? [entry.slice('DNS:'.length)] : []));
}
