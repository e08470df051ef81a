import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { natsAuthorization, SERVICES, type ServiceName } from '@talkmesh/contracts';

/** The NATS users of a mesh on one machine: one per service, each with a random password in a file that only this user can read. */
export interface NatsUserFiles {
  /** To be appended to the configuration of nats-server. It contains the passwords. */
  readonly serverConfig: string;
  settingsOf(service: ServiceName): { readonly natsUser: string; readonly natsPasswordFile: string };
}

export async function writeNatsUsers(folder: string): Promise<NatsUserFiles> {
  const passwords = new Map(SERVICES.map((service) => [service, randomBytes(24).toString('hex')]));
  const fileOf = (service: ServiceName): string => join(folder, `${service}.password`);
  for (const [service, password] of passwords) await writeFile(fileOf(service), password, { mode: 0o600 });
  return {
    serverConfig: natsAuthorization((service) => passwords.get(service) ?? ''),
    settingsOf: (service) => ({ natsUser: service, natsPasswordFile: fileOf(service) }),
  };
}
