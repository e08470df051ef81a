import { isIP } from 'node:net';
import { NAMED_NETWORKS, Networks } from '@talkmesh/service-kit';

/** This network, link-local (with the metadata services of clouds), protocol assignments, multicast, reserved, IPv4 inside IPv6. */
const never = new Networks([
  ...['0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['::', 'fe80::/10', 'fec0::/10', 'ff00::/8', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16'],
]);
const inside = new Networks(Object.keys(NAMED_NETWORKS));

/** Decides to which addresses of callers this host sends connectivity checks. */
export class RemoteCandidates {
  readonly #allowed: Networks;

  /** @param networks where callers may be besides the public internet: `loopback`, `private`, networks */
  constructor(networks: readonly string[]) {
    this.#allowed = new Networks(networks);
  }

  /**
   * A description without the candidates that would make this host probe its own network: TCP, names (which
   * would be looked up), and addresses that are not allowed. A caller at such an address is still reached once it has sent a packet,
   * because ICE answers to where that came from (peer-reflexive candidates, RFC 8445, 7.3.1.3).
   */
  filter(sdp: string): string {
    return sdp.replace(/^a=candidate:.*(?:\r?\n|$)/gim, (line) => (this.mayProbe(line) ? line : ''));
  }

  /** @param line `candidate:…`, as in a line of a description */
  mayProbe(line: string): boolean {
    const [, , transport = '', , address = ''] = line.trim().split(/ +/);
    if (transport.toLowerCase() !== 'udp' || isIP(address) === 0 || never.has(address)) return false;
    return !inside.has(address) || this.#allowed.has(address);
  }
}
