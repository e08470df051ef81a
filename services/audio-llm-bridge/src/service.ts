import { MeshError } from '@talkmesh/contracts';
import type { RunningService, ServiceContext } from '@talkmesh/service-kit';
import type { Config } from './config.js';
import { conversationService } from './control.js';
import { bridgeMetrics } from './metrics.js';
import { offerOf } from './offer.js';
import { ProviderRegistry } from './providers/registry.js';
import { BridgeSession } from './session.js';
import { sessionChoicesOf } from './session-choices.js';
import { Espeak, espeakOptions } from './tts/espeak.js';

export async function startBridge({
  config,
  log,
  bus,
  metrics: registry,
}: ServiceContext<Config>): Promise<RunningService> {
  const tts = new Espeak(espeakOptions(config));
  await tts
    .check()
    .catch((thrown: unknown) =>
      log.warn(
        { reason: MeshError.from(thrown).reason, err: thrown },
        'text-to-speech is not available; requests to speak a text will fail',
      ),
    );
  const providers = await ProviderRegistry.load(config);
  const metrics = bridgeMetrics(registry, providers.names);
  log.info({ providers: providers.names }, 'conversation providers');
  const sessions = new Map<string, BridgeSession>();

  const close = async (sessionId: string, reason: string): Promise<void> => {
    const session = sessions.get(sessionId);
    if (reason === 'moved') await session?.release();
    sessions.delete(sessionId);
    await session?.[Symbol.asyncDispose]();
  };

  return {
    grpc: [conversationService(sessions)],
    worker: {
      capacity: config.capacity,
      model: '',
      offer: offerOf(providers.all, config),
      sessions: () => sessions.size,
      async open({ sessionId, epoch, bridge, takeOver }) {
        const provider = providers.find(bridge?.provider ?? '');
        const { choices, key } = sessionChoicesOf(bridge, config);
        if (choices.input === 'push-to-talk' && provider.vad === 'none')
          throw new MeshError(
            'ARGUMENT_INVALID',
            `The provider ${provider.name} hears no user, so there is no push-to-talk: leave input out.`,
          );
        const maxTurnMs = (config.maxTurnSeconds || provider.maxTurnSeconds) * 1000;
        const conversation = {
          ...config,
          language: choices.language,
          input: choices.input,
          aheadMs: config.speechAheadMs,
          maxTurnMs,
        };
        const wiring = { bus, log, metrics, tts, toolDeadlineMs: config.toolDeadlineMs };
        sessions.set(
          sessionId,
          await BridgeSession.open({ sessionId, epoch, choices, key, takeOver, provider, conversation, ...wiring }),
        );
      },
      close,
      stats: () => [...sessions.values()].map((session) => session.stats),
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...sessions.keys()].map((sessionId) => close(sessionId, 'shutdown')));
    },
  };
}
