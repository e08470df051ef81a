import { lookup } from 'node:dns';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { MeshError } from '@talkmesh/contracts';
import { Networks } from '@talkmesh/service-kit';

/** Special-purpose addresses (RFC 6890 and its registry) and those that contain IPv4 addresses: no receiver of a webhook on the Internet has one. */
const NOT_PUBLIC = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4', '::/96', '::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48', '100::/64'],
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '5f00::/16', 'fc00::/7', 'fe80::/10', 'ff00::/8'],
];
const DEADLINE_MS = 10_000;

/**
 * POST requests to addresses that a setting names, guarded against requests to this network (SSRF): the address is checked after the
 * name was resolved and is the one that is connected to; redirects are not followed; the answer's body is not read.
 */
export class OutboundRequests {
  readonly #notPublic = new Networks(NOT_PUBLIC);
  readonly #allowed: Networks;

  /** @param allowed networks that may be reached too, also without TLS */
  constructor(allowed: readonly string[]) {
    this.#allowed = new Networks(allowed);
  }

  /** @returns the status of the answer @throws MeshError PERMISSION_DENIED (the address is not allowed), PEER_LOST (no answer) */
  async post(
    address: string,
    headers: Record<string, string>,
    body: string,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<number> {
    const url = new URL(address);
    const isTls = url.protocol === 'https:';
    const literal = url.hostname.replace(/^\[|\]$/g, '');
    // No look-up takes place for an address.
    if (isIP(literal) !== 0) this.#check(literal, isTls);
    const request = isTls ? requestTls : requestPlain;
    return new Promise((resolve, reject) => {
      const sent = request(url, {
        method: 'POST',
        agent: false,
        headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        lookup: this.#guardedLookup(isTls),
        signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      });
      sent.once('response', (response) => {
        response.destroy();
        resolve(response.statusCode ?? 0);
      });
      sent.once('error', (cause) => {
        if (cause instanceof MeshError) return reject(cause);
        const why =
          cause.name === 'AbortError' || cause.name === 'TimeoutError'
            ? `no answer within ${DEADLINE_MS} ms`
            : cause.message;
        reject(new MeshError('PEER_LOST', why, { cause }));
      });
      sent.end(body);
    });
  }

  #guardedLookup(isTls: boolean): LookupFunction {
    return (hostname, options, done) => {
      lookup(hostname, { ...options, all: true }, (error, addresses) => {
        try {
          if (error !== null) throw error;
          for (const { address } of addresses) this.#check(address, isTls);
          const [first] = addresses;
          if (options.all === true) done(null, addresses);
          else done(null, first?.address ?? '', first?.family);
        } catch (refused) {
          done(refused as Error, '', 4);
        }
      });
    };
  }

  #check(address: string, isTls: boolean): void {
    if (this.#allowed.has(address)) return;
    if (!isTls)
      throw new MeshError(
        'PERMISSION_DENIED',
        `http is allowed only to TALKMESH_WEBHOOK_NETWORKS, which do not contain ${address}; use https, or add "loopback", "private" or the network`,
      );
    if (this.#notPublic.has(address))
      throw new MeshError(
        'PERMISSION_DENIED',
        `${address} is no public address; add its network to TALKMESH_WEBHOOK_NETWORKS`,
      );
  }
}
