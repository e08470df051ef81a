/** The control plane: etcd and the API server, then the controllers and the scheduler. */
import { join } from 'node:path';
import type { Kubectl } from '../kubectl.js';
import { writeCertificates } from './certificates.js';
import { Daemon } from './daemon.js';

export const NODE_IP = '10.0.0.1';
export const SERVICE_CIDR = '10.96.0.0/16';
export const POD_CIDR = '10.244.0.0/24';
const API_SERVER = 'https://127.0.0.1:6443';
const ETCD = 'http://127.0.0.1:2379';

/**
 * Starts etcd and the API server in `folder` and waits until it serves. No controller runs yet, so nothing is made of the objects.
 * @throws Error with a log
 */
export async function startApiServer(folder: string, kubectl: Kubectl): Promise<Daemon[]> {
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
      `--service-cluster-ip-range=${SERVICE_CIDR}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${pki('service-accounts.key')}`,
      `--service-account-signing-key-file=${pki('service-accounts.key')}`,
      `--kubelet-client-certificate=${pki('admin.crt')}`,
      `--kubelet-client-key=${pki('admin.key')}`,
      // Names of nodes are in no DNS: without this logs and exec fail.
      '--kubelet-preferred-address-types=InternalIP',
      // For an adapter of custom metrics.
      `--requestheader-client-ca-file=${pki('ca.crt')}`,
      '--requestheader-allowed-names=kube-apiserver',
      '--requestheader-username-headers=X-Remote-User',
      '--requestheader-group-headers=X-Remote-Group',
      '--requestheader-extra-headers-prefix=X-Remote-Extra-',
      '--profiling=false',
    ],
    folder,
  );
  await api.ready(() => kubectl.succeeds('get', '--raw', '/readyz'));
  return [etcd, api];
}

/** Starts what turns objects into pods and gives pods to nodes. @throws Error with a log */
export async function startControllers(folder: string, kubectl: Kubectl): Promise<Daemon[]> {
  const pki = (name: string): string => join(folder, 'pki', name);
  const signedInAs = (identity: string): string[] =>
    ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
      (flag) => `--${flag}=${join(folder, `${identity}.kubeconfig`)}`,
    );
  const controllers = Daemon.start(
    'kube-controller-manager',
    [
      ...signedInAs('controllers'),
      '--bind-address=127.0.0.1',
      `--service-account-private-key-file=${pki('service-accounts.key')}`,
      `--root-ca-file=${pki('ca.crt')}`,
      '--use-service-account-credentials=true',
      ...['--allocate-node-cidrs=true', `--cluster-cidr=${POD_CIDR}`, `--service-cluster-ip-range=${SERVICE_CIDR}`],
      // Asks for metrics more often than every 15 s.
      '--horizontal-pod-autoscaler-sync-period=2s',
      '--leader-elect=false',
    ],
    folder,
  );
  const scheduler = Daemon.start(
    'kube-scheduler',
    [...signedInAs('scheduler'), '--bind-address=127.0.0.1', '--leader-elect=false'],
    folder,
  );
  await controllers.ready(() => kubectl.succeeds('get', 'serviceaccount', 'default'));
  return [controllers, scheduler];
}
