/** etcd and the API server. No controller runs, so nothing is made of the objects. */
import { join } from 'node:path';
import type { Kubectl } from '../kubectl.js';
import { writeCertificates } from './certificates.js';
import { Daemon } from './daemon.js';

const NODE_IP = '10.0.0.1';
const API_SERVER = 'https://127.0.0.1:6443';
const ETCD = 'http://127.0.0.1:2379';

/** Starts the control plane in `folder` and waits until it serves. @throws Error with a log */
export async function startControlPlane(folder: string, kubectl: Kubectl): Promise<Daemon[]> {
  await writeCertificates(folder, API_SERVER);
  const pki = (name: string): string => join(folder, 'pki', name);
  const etcd = Daemon.start(
    'etcd',
    [
      ...['--data-dir', 'etcd', '--listen-client-urls', ETCD, '--advertise-client-urls', ETCD],
      // Nothing is kept after the run.
      '--unsafe-no-fsync',
    ],
    folder,
  );
  const api = Daemon.start(
    'kube-apiserver',
    [
      `--etcd-servers=${ETCD}`,
      '--bind-address=0.0.0.0',
      `--advertise-address=${NODE_IP}`,
      '--secure-port=6443',
      `--tls-cert-file=${pki('apiserver.crt')}`,
      `--tls-private-key-file=${pki('apiserver.key')}`,
      `--client-ca-file=${pki('ca.crt')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      `--service-cluster-ip-range=10.96.0.0/16`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki('service-accounts.key')}`,
      `--service-account-signing-key-file=${pki('service-accounts.key')}`,
      '--profiling=false',
    ],
    folder,
  );
  await api.ready(() => kubectl.succeeds('get', '--raw', '/readyz'));
  return [etcd, api];
}
