import { isNetwork, Networks } from '@talkmesh/service-kit';
import type { FastifyInstance } from 'fastify';

/** Whether the n-th address from here (0: the peer of the connection) is a proxy whose X-Forwarded headers count. */
export type ProxyTrust = (address: string, hop: number) => boolean;

const PREFIX = /^(\/[\w.~-]+)+$/;
const listOf = (setting: string): string[] => setting.split(/[\s,]+/).filter((item) => item !== '');

/** The setting: `false`, `true` (one proxy), the number of proxies, or the networks that they are in. */
export const isProxyTrust = (setting: string): boolean =>
  /^(true|false|[0-9]|10)$/.test(setting) || (setting !== '' && listOf(setting).every(isNetwork));

/**
 * Proxies append the caller's address, so what stands further left was written by the caller. With a number only as many addresses
 * count as there are proxies; with networks all up to the first one outside.
 */
export function proxyTrust(setting: string): ProxyTrust {
  if (setting === 'false') return () => false;
  if (setting === 'true' || /^\d+$/.test(setting)) {
    const hops = setting === 'true' ? 1 : Number(setting);
    return (_address, hop) => hop < hops;
  }
  const networks = new Networks(listOf(setting));
  return (address) => networks.has(address);
}

/** Puts the path that a proxy has removed (X-Forwarded-Prefix) in front of Location, which callers resolve at the proxy. */
export function prefixLocations(app: FastifyInstance, trusts: ProxyTrust): void {
  app.addHook('onSend', async (request, reply) => {
    const location = reply.getHeader('location');
    const prefix = request.headers['x-forwarded-prefix'];
    if (typeof location !== 'string' || !location.startsWith('/') || typeof prefix !== 'string') return;
    if (trusts(request.socket.remoteAddress ?? '', 0) && PREFIX.test(prefix))
      reply.header('location', prefix + location);
  });
}
