/** Programs that Go builds from modules of this repository, with their versions in go.mod and go.sum, once for each machine. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../docker/proof/program.js';

const BUILD_MS = 90 * 60_000;

export interface GoModulesOptions<P extends string> {
  /** Name of the folder in the cache. */
  readonly name: string;
  /** Folder with one folder for each module. */
  readonly modules: string;
  /** Go packages of the programs, by module. */
  readonly packages: Readonly<Record<string, Readonly<Partial<Record<P, string>>>>>;
  /** Flags of the linker; `-s -w` by default. */
  readonly linkerFlags?: (module: string) => string;
}

export class GoModules<P extends string> {
  /** Absolute path. */
  readonly cache: string;
  readonly programs: readonly P[];
  readonly #options: GoModulesOptions<P>;
  readonly #moduleOf: ReadonlyMap<P, string>;

  constructor(options: GoModulesOptions<P>) {
    this.#options = options;
    this.cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'talkmesh', options.name);
    this.#moduleOf = new Map(
      Object.entries(options.packages).flatMap(([module, programs]) =>
        (Object.keys(programs) as P[]).map((program) => [program, module] as const),
      ),
    );
    this.programs = [...this.#moduleOf.keys()];
  }

  /** Absolute path of a program, whether or not it was built: a change of its module's versions changes the path. */
  pathOf(program: P): string {
    const module = this.#moduleOf.get(program) as string;
    const folder = join(this.#options.modules, module);
    const hash = createHash('sha256').update(this.#flags(module));
    for (const name of readdirSync(folder)) hash.update(readFileSync(join(folder, name)));
    return join(this.cache, 'bin', `${module}-${hash.digest('hex').slice(0, 12)}`, program);
  }

  /** Those of the programs that are not built yet. */
  missingOf(programs: readonly P[] = this.programs): P[] {
    return programs.filter((program) => !existsSync(this.pathOf(program)));
  }

  /** Builds what is missing. @throws Error with Go's output */
  async buildMissing(say: (line: string) => void): Promise<void> {
    for (const program of this.missingOf()) {
      const begin = performance.now();
      await this.#build(program);
      say(`  ${program} after ${Math.round((performance.now() - begin) / 1000)} s`);
    }
  }

  #flags(module: string): string {
    return this.#options.linkerFlags?.(module) ?? '-s -w';
  }

  async #build(program: P): Promise<void> {
    const module = this.#moduleOf.get(program) as string;
    const target = this.pathOf(program);
    // Go may add lines to go.sum, so it works on a copy.
    const work = join(this.cache, 'modules', `${module}-${process.pid}`);
    await mkdir(join(this.cache, 'modules'), { recursive: true });
    await cp(join(this.#options.modules, module), work, { recursive: true });
    const unfinished = `${target}.unfinished`;
    try {
      const source = this.#options.packages[module]?.[program] as string;
      const flags = ['-C', work, '-mod=mod', '-trimpath', '-buildvcs=false', '-ldflags', this.#flags(module)];
      await runProgram('go', ['build', ...flags, '-o', unfinished, source], {
        env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '' },
        timeoutMs: BUILD_MS,
      });
      await rename(unfinished, target);
    } catch (cause) {
      throw new Error(`${program} could not be built: it needs Go 1.26.6 or newer and its module proxy`, { cause });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
}
