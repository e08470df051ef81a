import { MeshError } from '@talkmesh/contracts';

export interface ChoicesOptions<Choice, Name, Wanted> {
  /** As errors call it. */
  readonly what: string;
  /** Names of the settings: of the deployment's default, and of what it allows. */
  readonly setting: string;
  readonly allowedSetting: string;
  /** Of the model. */
  readonly all: readonly Choice[];
  /** @throws MeshError ARGUMENT_INVALID for one that the model does not have */
  readonly find: (wanted: Wanted) => Choice;
  readonly nameOf: (choice: Choice) => Name;
}

/** What a deployment's settings say. */
export interface ChosenBySettings<Wanted> {
  readonly wanted: Wanted;
  /** Whether `wanted` was set, and is not the model's own. */
  readonly isSet: boolean;
  /** Empty: all that the model has. */
  readonly allowed: readonly Wanted[];
}

/** What sessions of this deployment may choose of what the model has, and what they get without a choice. */
export class SessionChoices<Choice, Name extends string | number, Wanted = Name> {
  readonly choices: readonly Choice[];
  readonly default: Name;
  readonly #options: ChoicesOptions<Choice, Name, Wanted>;

  /** @throws MeshError CONFIG_INVALID when a setting names what the model does not have */
  constructor(options: ChoicesOptions<Choice, Name, Wanted>, settings: ChosenBySettings<Wanted>) {
    const { setting, allowedSetting, all, find, nameOf } = options;
    const named = (from: string, wanted: Wanted): Name => {
      try {
        return nameOf(find(wanted));
      } catch (thrown) {
        throw new MeshError('CONFIG_INVALID', `${from}: ${MeshError.from(thrown).message}`);
      }
    };
    this.#options = options;
    const allowed = settings.allowed.map((wanted) => named(allowedSetting, wanted));
    this.choices = all.filter((choice) => allowed.length === 0 || allowed.includes(nameOf(choice)));
    const wanted = named(setting, settings.wanted);
    const isAllowed = this.#names.includes(wanted);
    if (settings.isSet && !isAllowed)
      throw new MeshError('CONFIG_INVALID', `${setting}=${settings.wanted} is not among ${allowedSetting}`);
    this.default = isAllowed ? wanted : (this.#names[0] ?? wanted);
  }

  /**
   * @param wanted undefined: the deployment's
   * @throws MeshError ARGUMENT_INVALID for one that the model does not have, PERMISSION_DENIED for one that the deployment does not allow
   */
  choose(wanted: Wanted | undefined): Name {
    const { what, find, nameOf } = this.#options;
    if (wanted === undefined) return this.default;
    const name = nameOf(find(wanted));
    if (this.#names.includes(name)) return name;
    const allowed = this.#names.join(', ');
    throw new MeshError('PERMISSION_DENIED', `this deployment does not allow the ${what} ${name}; choose ${allowed}`);
  }

  get #names(): readonly Name[] {
    return this.choices.map(this.#options.nameOf);
  }
}
