/** One node: container runtime, kubelet, service proxy, DNS, and kube-router, which enforces NetworkPolicies. */
import { Resolver } from 'node:dns/promises';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runProgram } from '../../docker/proof/program.js';
import { PAUSE_IMAGE } from '../image-names.js';
import { IMAGE_ARCHIVE } from '../images.js';
import type { Kubectl } from '../kubectl.js';
import { pathOf } from '../programs.js';
import { CGROUP } from './cgroups.js';
import { NODE_IP, POD_CIDR, SERVICE_CIDR } from './control-plane.js';
import { Daemon } from './daemon.js';

export const NODE_NAME = 'node-0';
const CNI_PROGRAMS = '/usr/lib/cni';
const SOCKET = '/run/containerd/containerd.sock';
const PROXY_HEALTH_PORT = 10_256;
/** Administrators' programs are not on every PATH. */
const SYSTEM_PATH = [process.env['PATH'], '/usr/sbin', '/sbin'].join(':');

/** Starts the node in `folder` and waits until the API server calls it ready. @throws Error with a log */
export async function startNode(folder: string, kubectl: Kubectl): Promise<Daemon[]> {
  const containerd = await startContainerd(folder);
  await importImages();
  await writeFile(join(folder, 'kubelet.json'), JSON.stringify(kubeletConfiguration(folder)));
  const kubelet = Daemon.start(
    'kubelet',
    [
      '--config=kubelet.json',
      '--kubeconfig=node.kubeconfig',
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${NODE_IP}`,
      '--v=2',
    ],
    folder,
  );
  const admin = join(folder, 'admin.kubeconfig');
  const proxy = Daemon.start(
    'kube-proxy',
    [
      `--kubeconfig=${admin}`,
      `--hostname-override=${NODE_NAME}`,
      `--cluster-cidr=${POD_CIDR}`,
      '--proxy-mode=nftables',
      // The connection table belongs to the machine.
      '--conntrack-max-per-core=0',
      '--conntrack-min=0',
      `--bind-address=${NODE_IP}`,
      `--healthz-bind-address=${NODE_IP}:${PROXY_HEALTH_PORT}`,
    ],
    folder,
  );
  await writeFile(join(folder, 'Corefile'), corefile(admin));
  const dns = Daemon.start('coredns', ['-conf', 'Corefile'], folder);
  await kubelet.ready(async () => {
    const { status } = await kubectl.get('node', NODE_NAME);
    return status.conditions.some(
      ({ type, status: value }: { type: string; status: string }) => type === 'Ready' && value === 'True',
    );
  });
  await dns.ready(() => resolves('kubernetes.default.svc.cluster.local'));
  await proxy.ready(() => answers(`http://${NODE_IP}:${PROXY_HEALTH_PORT}/healthz`));
  const policies = startPolicies(folder, admin);
  await policies.ready(() =>
    runProgram('iptables', ['--wait', '--list-rules', 'KUBE-ROUTER-FORWARD']).then(() => true),
  );
  return [containerd, kubelet, proxy, dns, policies];
}

/** Enforces NetworkPolicies and does nothing else of what kube-router can do. */
function startPolicies(folder: string, kubeconfig: string): Daemon {
  const others = ['router', 'service-proxy', 'loadbalancer'].map((part) => `--run-${part}=false`);
  return Daemon.start(
    'kube-router',
    [
      `--kubeconfig=${kubeconfig}`,
      `--hostname-override=${NODE_NAME}`,
      '--run-firewall=true',
      ...others,
      `--service-cluster-ip-range=${SERVICE_CIDR}`,
      '--health-port=0',
    ],
    folder,
    { PATH: SYSTEM_PATH },
  );
}

const answers = async (url: string): Promise<boolean> => (await fetch(url)).ok;

async function resolves(name: string): Promise<boolean> {
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([NODE_IP]);
  return (await resolver.resolve4(name)).length > 0;
}

async function startContainerd(folder: string): Promise<Daemon> {
  const networks = join(folder, 'networks');
  await mkdir(networks, { recursive: true });
  await writeFile(join(networks, '10-pods.conflist'), JSON.stringify(NETWORK));
  await writeFile(join(folder, 'containerd.toml'), containerdConfiguration(folder, networks));
  const search = [dirname(pathOf('containerd-shim-runc-v2')), SYSTEM_PATH].join(':');
  const daemon = Daemon.start('containerd', ['--config', 'containerd.toml', '--log-level', 'warn'], folder, {
    PATH: search,
  });
  await daemon.ready(() =>
    ctr('version').then(
      () => true,
      () => false,
    ),
  );
  return daemon;
}

const ctr = (...args: readonly string[]): Promise<string> =>
  runProgram(pathOf('ctr'), ['--address', SOCKET, '--namespace', 'k8s.io', ...args]);

/** Sends SIGKILL to all processes of a container. @param id as Kubernetes reports it, `containerd://HASH` */
export const killContainer = (id: string): Promise<string> =>
  ctr('tasks', 'kill', '--all', '--signal', 'SIGKILL', id.replace('containerd://', ''));

const importImages = (): Promise<string> => ctr('images', 'import', '--snapshotter', 'overlayfs', IMAGE_ARCHIVE);

/** Every packet between pods is routed through the node, so no bridge is needed. */
const NETWORK = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'ptp',
      ipMasq: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: POD_CIDR }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};

/** On a machine where no process may raise limits, containers must not try to. */
const containerdConfiguration = (folder: string, networks: string): string => `version = 3
root = '${join(folder, 'containerd')}'
state = '/run/containerd'
[grpc]
  address = '${SOCKET}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '${PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['${CNI_PROGRAMS}']
  conf_dir = '${networks}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
`;

const kubeletConfiguration = (folder: string): object => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  // The test may run where cgroups are still version 1.
  failCgroupV1: false,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: `/${CGROUP}`,
  containerRuntimeEndpoint: `unix://${SOCKET}`,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: false },
    x509: { clientCAFile: join(folder, 'pki/ca.crt') },
  },
  authorization: { mode: 'AlwaysAllow' },
  clusterDNS: [NODE_IP],
  clusterDomain: 'cluster.local',
  resolvConf: '',
  failSwapOn: false,
  // Settings of the kernel that belong to the machine are left alone.
  featureGates: { KubeletInUserNamespace: true },
  oomScoreAdj: 0,
  evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
});

const corefile = (kubeconfig: string): string => `cluster.local:53 {
  bind ${NODE_IP}
  kubernetes cluster.local {
    kubeconfig ${kubeconfig} proof
  }
  errors
}
`;
