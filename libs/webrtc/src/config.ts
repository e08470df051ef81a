import { isIP } from 'node:net';
import { isNetwork } from '@talkmesh/service-kit';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535).default(0);
const ms = (defaultMs: number, maxMs: number) => z.coerce.number().int().min(1).max(maxMs).default(defaultMs);
const list = z
  .string()
  .default('')
  .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''));

/** STUN and TURN servers: those of the workers' own connections, and those that the gateway names to its callers. */
export const iceConfigShape = {
  /** stun: and turn: URLs, separated by commas. */
  iceUrls: list.refine(
    (urls) => urls.every((url) => /^(stuns?|turns?):[^\s,]+$/.test(url)),
    'is a list of stun:, turn: or turns: URLs',
  ),
  iceUsername: z.string().default(''),
  /** File that holds the TURN password. */
  iceCredentialFile: z.string().default(''),
  /** File that holds the secret shared with the TURN server: each connection gets credentials made of it. */
  iceSecretFile: z.string().default(''),
  /** How long such credentials are valid, milliseconds. */
  iceCredentialMs: ms(3_600_000, 86_400_000),
} satisfies z.ZodRawShape;
export type IceConfig = z.output<z.ZodObject<typeof iceConfigShape>>;

export const rtcConfigShape = {
  ...iceConfigShape,
  /** Range of UDP ports for media; both 0 means any. Each peer uses one. */
  rtcPortMin: port,
  rtcPortMax: port,
  /** Addresses in answers, separated by commas; empty means every local one. One that is not local (1:1 NAT) replaces the local ones of its family. */
  rtcAdvertise: list.refine((items) => items.every((item) => isIP(item) !== 0), 'is a list of IP addresses'),
  /**
   * Where callers may be besides the public internet, separated by commas: `loopback`, `private`, networks such as 10.1.0.0/16. Empty:
   * nowhere, but `loopback,private` when this service listens on loopback only.
   */
  rtcRemoteNetworks: list.refine(
    (items) => items.every(isNetwork),
    'is a list of loopback, private and networks such as 10.1.0.0/16',
  ),
  /** Only relayed candidates of TURN servers are used; no port of this host is offered. */
  iceRelayOnly: z.stringbool().default(false),
  /** Deadline from an offer to its answer, milliseconds. */
  rtcAnswerMs: ms(6000, 60_000),
  /** How long candidates may be gathered; then the answer is sent with those found, milliseconds. */
  rtcGatherMs: ms(2000, 30_000),
} satisfies z.ZodRawShape;

export type RtcConfig = z.output<z.ZodObject<typeof rtcConfigShape>>;

/** Rules over several of these settings, for `defineConfig`. */
export function rtcConfigRule(config: RtcConfig): string[] {
  const problems: string[] = [];
  if (config.rtcPortMin > config.rtcPortMax || (config.rtcPortMin === 0) !== (config.rtcPortMax === 0))
    problems.push('TALKMESH_RTC_PORT_MIN must not be above TALKMESH_RTC_PORT_MAX; set both or none');
  if (config.rtcGatherMs >= config.rtcAnswerMs)
    problems.push('TALKMESH_RTC_GATHER_MS must be below TALKMESH_RTC_ANSWER_MS');
  if (config.iceRelayOnly && !config.iceUrls.some((url) => url.startsWith('turn')))
    problems.push('TALKMESH_ICE_RELAY_ONLY needs a TURN server in TALKMESH_ICE_URLS');
  return [...problems, ...iceConfigRule(config)];
}

/** The rule over the settings of ICE servers. */
export function iceConfigRule(config: IceConfig): string[] {
  const hasTurn = config.iceUrls.some((url) => url.startsWith('turn'));
  const hasPassword = config.iceUsername !== '' && config.iceCredentialFile !== '';
  if (hasPassword && config.iceSecretFile !== '')
    return ['TALKMESH_ICE_SECRET_FILE and TALKMESH_ICE_CREDENTIAL_FILE are both set: keep one'];
  if (!hasTurn || hasPassword || config.iceSecretFile !== '') return [];
  return [
    'TALKMESH_ICE_URLS names a TURN server: set TALKMESH_ICE_SECRET_FILE, or TALKMESH_ICE_USERNAME and TALKMESH_ICE_CREDENTIAL_FILE',
  ];
}
