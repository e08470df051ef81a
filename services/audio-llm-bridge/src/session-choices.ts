import { MeshError, type SessionChoices, sessionChoices } from '@talkmesh/contracts';
import type { OpenRequest } from '@talkmesh/service-kit';
import type { Choice, Config } from './config.js';
import { allowedVoices } from './offer.js';

type BridgeOptions = NonNullable<OpenRequest['bridge']>;

/**
 * What a session chooses, as far as the deployment allows it, with the deployment's instructions where it brings none.
 * @throws MeshError ARGUMENT_INVALID, PERMISSION_DENIED, PROVIDER_FAILED when its own key was lost in a takeover
 */
export function sessionChoicesOf(
  bridge: BridgeOptions | null | undefined,
  config: Pick<Config, 'sessionChoices' | 'instructions' | 'voices'>,
): { readonly choices: SessionChoices; readonly key: string } {
  const {
    instructions = '',
    voice = '',
    language = '',
    input = '',
    tools = [],
    providerKey = '',
    ownKey = false,
  } = bridge ?? {};
  const parsed = sessionChoices.safeParse({
    ...{ instructions, voice, language },
    ...(input !== '' && { input }),
    tools: tools.map(({ name, description, parametersJson }) => ({
      ...{ name, description },
      parameters: schemaOf(name, parametersJson),
    })),
  });
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
    throw new MeshError('ARGUMENT_INVALID', `The options of the session are not valid: ${issues.join('; ')}`);
  }
  const choices = parsed.data;
  const made: Record<Choice, boolean> = {
    instructions: choices.instructions !== '',
    voice: choices.voice !== '',
    language: choices.language !== '',
    tools: choices.tools.length > 0,
    key: providerKey !== '',
  };
  for (const [choice, isMade] of Object.entries(made) as [Choice, boolean][])
    if (isMade && !config.sessionChoices.includes(choice))
      throw new MeshError(
        'PERMISSION_DENIED',
        `This deployment does not let sessions choose their ${choice}. Leave it out, or add it to TALKMESH_SESSION_CHOICES.`,
      );
  const voices = allowedVoices(config.voices, bridge?.provider ?? '');
  if (choices.voice !== '' && voices.length > 0 && !voices.includes(choices.voice))
    throw new MeshError(
      'PERMISSION_DENIED',
      `This deployment has the voices ${voices.join(', ')} of ${bridge?.provider}. Choose one of them, or add the voice to TALKMESH_VOICES.`,
    );
  if (ownKey && providerKey === '')
    throw new MeshError(
      'PROVIDER_FAILED',
      'This session had a key of its own, which was lost with its bridge because such keys are never stored. Create a new session.',
    );
  return { choices: { ...choices, instructions: choices.instructions || config.instructions }, key: providerKey };
}

function schemaOf(name: string, json: string): unknown {
  if (json === '') return undefined;
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new MeshError('ARGUMENT_INVALID', `The parameters of the tool ${name.slice(0, 64)} are not valid JSON.`, {
      cause,
    });
  }
}
