import type { ConversationOffer } from '@talkmesh/contracts';
import { offer } from '../schemas.js';
import type { SessionQualities } from '../session-qualities.js';
import type { SessionSizes } from '../session-sizes.js';
import type { WorkerDirectory } from '../worker-directory.js';
import type { Operation } from './routes.js';

export interface ProviderOptions {
  readonly directory: Pick<WorkerDirectory, 'read'>;
  readonly defaultProvider: string;
  readonly qualities: SessionQualities;
  readonly sizes: SessionSizes;
  /** `name@version` */
  readonly model: string;
}

/** What callers may choose of the conversation, as the bridges announce it. */
export function providerOperations(options: ProviderOptions): Operation[] {
  const { directory, defaultProvider, qualities, sizes, model } = options;
  return [
    {
      method: 'GET',
      path: '/v1/providers',
      id: 'listProviders',
      summary:
        'Lists the conversation providers that the caller may use, with their voices, and what sessions may choose, also qualities and sizes of the video',
      access: 'any',
      status: 200,
      answer: { schema: offer, type: 'application/json' },
      errors: ['NATS_UNAVAILABLE'],
      handle: async ({ principal }) => {
        const bridges = (await directory.read()).candidates('audio-llm-bridge', model);
        const { providers, choices } = together(bridges.flatMap((bridge) => bridge.offer ?? []));
        const grant = principal?.kind === 'grant' ? principal.grant : undefined;
        const granted = grant?.providers;
        return {
          default: granted?.[0] ?? defaultProvider,
          providers: providers.filter(({ name }) => granted === undefined || granted.includes(name)),
          choices,
          quality: qualityOffer(qualities, grant?.qualities),
          size: sizeOffer(sizes, grant?.sizes),
        };
      },
    },
  ];
}

/** @param granted what a grant allows, of which the first is the default; undefined: everything */
function qualityOffer(qualities: SessionQualities, granted: readonly string[] | undefined) {
  const choices = qualities.choices
    .filter(({ name, size }) => granted === undefined || granted.includes(name) || granted.includes(size))
    .map(({ name, size, cost }) => ({ name, size, cost }));
  const first = choices.find(({ name, size }) => granted?.[0] === name || granted?.[0] === size);
  return { default: first?.name ?? qualities.default, choices };
}

/** As `qualityOffer`. */
function sizeOffer(sizes: SessionSizes, granted: readonly number[] | undefined) {
  const choices = sizes.choices
    .filter(({ size }) => granted === undefined || granted.includes(size))
    .map(({ size, width, height, cost }) => ({ size, width, height, cost }));
  const first = choices.find(({ size }) => size === granted?.[0]);
  return { default: first?.size ?? sizes.default, choices };
}

/** What every bridge offers, so that a choice holds whichever bridge gets the session. During a change of settings they differ. */
function together(offers: readonly ConversationOffer[]): ConversationOffer {
  const [first, ...others] = offers;
  if (first === undefined) return { providers: [], choices: [] };
  return {
    providers: first.providers.flatMap(({ name }) => {
      const offered = offers.flatMap(({ providers }) => providers.find((provider) => provider.name === name) ?? []);
      return offered.length === offers.length ? [commonOf(offered)] : [];
    }),
    choices: first.choices.filter((choice) => others.every((other) => other.choices.includes(choice))),
  };
}

type OfferedProvider = ConversationOffer['providers'][number];

/** @param offered one provider, as each bridge offers it; at least one */
function commonOf(offered: readonly OfferedProvider[]): OfferedProvider {
  const [first] = offered as readonly [OfferedProvider];
  const limiting = offered.filter(({ onlyTheseVoices }) => onlyTheseVoices);
  return {
    name: first.name,
    input: first.input.filter((input) => offered.every((other) => other.input.includes(input))),
    voices: (limiting[0] ?? first).voices.filter((voice) => limiting.every(({ voices }) => voices.includes(voice))),
    onlyTheseVoices: limiting.length > 0,
  };
}
