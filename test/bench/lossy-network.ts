/**
 * A network of its own for a measurement, with loss and a rate limit: the kernel needs no netem for it. Everything in it is loopback, so
 * each datagram passes the filter once in each direction.
 */
import { spawn } from 'node:child_process';
import { installPrograms } from '../support/tools.js';

export interface LossyNetwork {
  /** Part of the UDP datagrams that is lost at random, percent. */
  readonly lossPercent: number;
  /** What all UDP datagrams together may take, both directions, kbit/s; undefined: no limit. */
  readonly rateKbits: number | undefined;
}

const INSIDE = 'TALKMESH_BENCH_NETWORK';
const PROGRAMS = { nft: 'nftables', ip: 'iproute2', tc: 'iproute2', unshare: 'util-linux' };
/** Chromium gathers no candidates of loopback interfaces, so the host gets an address of RFC 2544 as well. */
const ADDRESS = '198.18.0.1/30';
/** Datagrams that wait for the rate limit; more are lost. About 0.3 s of a call. */
const QUEUE = 40;

/** Whether this process runs inside such a network. */
export const isInside = (): boolean => process.env[INSIDE] !== undefined;

/** Runs the same program with the same arguments in a new network, as root. @returns its exit status */
export async function runInside(network: LossyNetwork, say: (line: string) => void): Promise<number> {
  if (process.getuid?.() !== 0) throw new Error('a network with loss needs a network namespace: run as root');
  await installPrograms(PROGRAMS, say);
  const script = `${shellOf(network)}\nexec "$@"`;
  const command = ['sh', '-ec', script, 'sh', process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', ['--net', ...command], { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  return new Promise((resolve, reject) => child.once('error', reject).once('close', (code) => resolve(code ?? 1)));
}

/** The commands that make the network. */
function shellOf({ lossPercent, rateKbits }: LossyNetwork): string {
  const lines = [
    'ip link set lo up',
    'ip link add media0 type veth peer name media1',
    `ip address add ${ADDRESS} dev media0`,
    'ip link set media0 up',
    'ip link set media1 up',
    'ip route add default dev media0',
  ];
  if (lossPercent > 0)
    lines.push(
      `nft 'add table inet loss; add chain inet loss input { type filter hook input priority 0; };
        add rule inet loss input meta l4proto udp numgen random mod 10000 < ${Math.round(100 * lossPercent)} drop'`,
    );
  if (rateKbits !== undefined)
    lines.push(
      'tc qdisc add dev lo root handle 1: htb default 1',
      'tc class add dev lo parent 1: classid 1:1 htb rate 10gbit quantum 60000',
      `tc class add dev lo parent 1: classid 1:2 htb rate ${rateKbits}kbit quantum 1514`,
      `tc qdisc add dev lo parent 1:2 handle 2: pfifo limit ${QUEUE}`,
      'tc filter add dev lo parent 1: protocol ip u32 match ip protocol 17 0xff flowid 1:2',
    );
  return lines.join('\n');
}
