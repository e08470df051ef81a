import { BlockList, isIP } from 'node:net';

const NETWORK = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/;
const FAMILIES = { 4: 'ipv4', 6: 'ipv6' } as const;
const BITS = { 4: 32, 6: 128 } as const;

/** Special-purpose networks (RFC 6890) by the words that settings may use for them. */
export const NAMED_NETWORKS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', 'fc00::/7'],
};

/** Whether an item of a setting is `loopback`, `private`, an address, or a network such as 10.1.0.0/16. */
export function isNetwork(item: string): boolean {
  if (Object.hasOwn(NAMED_NETWORKS, item)) return true;
  const [, address = '', bits] = NETWORK.exec(item) ?? [];
  const family = isIP(address);
  return (family === 4 || family === 6) && Number(bits ?? 0) <= BITS[family];
}

/** A set of addresses. */
export class Networks {
  readonly #list = new BlockList();

  /** @param items each one that `isNetwork` accepts */
  constructor(items: readonly string[]) {
    for (const item of items.flatMap((name) => NAMED_NETWORKS[name] ?? [name])) {
      const [, address = '', bits] = NETWORK.exec(item) ?? [];
      const family = isIP(address) as 4 | 6;
      this.#list.addSubnet(address, Number(bits ?? BITS[family]), FAMILIES[family]);
    }
  }

  /** False also for text that is no address. IPv4 inside IPv6 (::ffff:127.0.0.1) counts as IPv4. */
  has(address: string): boolean {
    const family = isIP(address);
    return (family === 4 || family === 6) && this.#list.check(address, FAMILIES[family]);
  }
}
