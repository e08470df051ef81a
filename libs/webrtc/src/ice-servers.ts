import { createHmac } from 'node:crypto';
import { MeshError } from '@talkmesh/contracts';
import { readSecret } from '@talkmesh/service-kit';
import type { IceConfig } from './config.js';

/** As RTCIceServer. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** The configured STUN and TURN servers, with credentials that are made for each connection where there is a shared secret. */
export class IceServers {
  readonly #config: IceConfig;
  readonly #secret: string;
  readonly #password: string;

  /** @throws MeshError CONFIG_INVALID when a file cannot be read, or every user of the host can read it */
  static load(config: IceConfig): IceServers {
    const problems: string[] = [];
    const secret = readSecret('iceSecretFile', config.iceSecretFile, problems) ?? '';
    const password = readSecret('iceCredentialFile', config.iceCredentialFile, problems) ?? '';
    if (problems.length > 0) throw new MeshError('CONFIG_INVALID', problems.join('; '));
    return new IceServers(config, secret, password);
  }

  private constructor(config: IceConfig, secret: string, password: string) {
    this.#config = config;
    this.#secret = secret;
    this.#password = password;
  }

  /** For a connection of this mesh. @param id appears in the logs of the TURN server */
  own(id: string, nowMs = Date.now()): IceServer[] {
    const { iceUrls, iceUsername } = this.#config;
    const fixed = iceUsername === '' ? {} : { username: iceUsername, credential: this.#password };
    const login = this.#secret === '' ? fixed : this.#shortLived(id, nowMs);
    return iceUrls.map((url) => ({ urls: [url], ...(url.startsWith('turn') && login) }));
  }

  /** Link header of WHIP and WHEP (RFC 9725, 4.6), undefined without a server. A password that never ends stays in the mesh, so its servers are left out. */
  link(id: string, nowMs = Date.now()): string | undefined {
    const links = this.own(id, nowMs).flatMap(({ urls: [url = ''], username, credential }) => {
      if (!url.startsWith('turn')) return [`<${url}>; rel="ice-server"`];
      if (this.#secret === '') return [];
      return [
        `<${url}>; rel="ice-server"; username="${username}"; credential="${credential}"; credential-type="password"`,
      ];
    });
    return links.length === 0 ? undefined : links.join(', ');
  }

  /** The scheme of draft-uberti-behave-turn-rest, which coturn calls use-auth-secret. */
  #shortLived(id: string, nowMs: number): { username: string; credential: string } {
    const username = `${Math.floor((nowMs + this.#config.iceCredentialMs) / 1000)}:${id}`;
    return { username, credential: createHmac('sha1', this.#secret).update(username).digest('base64') };
  }
}
