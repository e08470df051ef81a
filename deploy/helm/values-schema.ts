/** The schema of the chart's values. Names that it does not know are refused, so a typing mistake cannot pass unnoticed. */
import { SERVICES, type ServiceName } from '@talkmesh/contracts';
import { type Json, type Setting, settingsOf } from './settings.js';

/** Settings that follow from other values of the chart. */
const SET_BY_CHART: ReadonlySet<string> = new Set([
  ...[
    'natsUrl',
    'natsUser',
    'natsPasswordFile',
    'natsCaFile',
    'natsCertFile',
    'natsKeyFile',
    'natsReplicas',
    'grpcHost',
    'grpcPort',
    'grpcSecretFile',
    'grpcCaFile',
    'grpcCertFile',
    'grpcKeyFile',
    'adminHost',
    'adminPort',
    'advertiseHost',
  ],
  // Pods have random instance ids: a restarted container is a new worker.
  'instanceId',
  ...['httpHost', 'httpPort', 'model', 'chunkLatentFrames', 'apiKeys', 'apiKeysFile', 'tokenSecret', 'tokenSecretFile'],
  ...['rtcPortMin', 'rtcPortMax', 'rtcAdvertise', 'iceUrls', 'iceUsername', 'iceCredentialFile'],
  ...['recordingsFolder', 'recordingKeyFile'],
]);

/** Folders below /etc/talkmesh. */
const MOUNTED_BY_CHART = ['nats', 'nats-ca', 'auth', 'ice', 'mesh', 'grpc-tls', 'recording-key'] as const;

const QUANTITY = '^[0-9]+(\\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$';
const DURATION = '^([0-9]+(h|m|s|ms))+$';
const CIDR = '^[0-9a-fA-F.:]+/[0-9]{1,3}$';
const NAME = '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$';
/** Name of a Secret in which {service} stands for the name of a service. */
const NAME_PER_SERVICE = `${NAME}|^([a-z0-9][-a-z0-9.]{0,199})?\\{service\\}([-a-z0-9.]{0,29}[a-z0-9])?$`;
const DIGEST = '^(sha256:[0-9a-f]{64})?$';

const text = (description: string, more: Json = {}): Json => ({ type: 'string', description, ...more });
const name = (description: string): Json => text(description, { pattern: NAME });
const flag = (description: string): Json => ({ type: 'boolean', description });
const whole = (description: string, minimum: number, maximum: number): Json => ({
  ...{ type: 'integer', description },
  ...{ minimum, maximum },
});
const oneOf = (description: string, values: readonly string[]): Json => ({ type: 'string', description, enum: values });
const list = (description: string, items: Json = { type: 'string' }): Json => ({ type: 'array', description, items });
/** Keys of the user's choice. */
const map = (description: string, values: Json = { type: 'string' }): Json => ({
  ...{ type: 'object', description },
  additionalProperties: values,
});
/** An object of Kubernetes, whose fields the API server checks. */
const native = (description: string): Json => ({ type: 'object', description });
const group = (description: string, properties: Json): Json => ({
  ...{ type: 'object', description, properties },
  additionalProperties: false,
});
const quantities = (description: string): Json => ({
  ...map(description, { type: ['string', 'integer'] }),
  propertyNames: { pattern: '^([a-z0-9.-]+/)?[A-Za-z0-9.-]+$' },
});
const resources = (description: string): Json =>
  group(description, {
    requests: quantities('What the scheduler reserves'),
    limits: quantities('What a container gets at most; GPUs belong here: `nvidia.com/gpu: 1`'),
  });
const nodeSelector = map('Labels of the nodes that may run the pods');
const tolerations = list('Taints of nodes that the pods tolerate', native('A toleration'));
const image = (description: string): Json =>
  group(description, {
    name: text('Last part of the path; empty: the name of the service'),
    tag: text('Empty: image.tag', { not: { const: 'latest' } }),
    digest: text('`sha256:...`; replaces the tag', { pattern: DIGEST }),
  });

export function settings(service: ServiceName): Setting[] {
  return settingsOf(service).filter(({ key }) => !SET_BY_CHART.has(key));
}

function config(description: string, all: readonly Setting[]): Json {
  const properties = all.map(({ key, env, schema, description: comment }) => [
    key,
    { ...schema, description: `${env}${comment === '' ? '' : `: ${comment}`}` },
  ]);
  return group(description, Object.fromEntries(properties) as Json);
}

/** What the defaults and every service have in common. */
const stage = (configuration: Json, kinds: readonly string[]): Json => ({
  replicas: whole('Pods, unless they are scaled automatically', 0, 1000),
  image: image('Image of the service'),
  config: configuration,
  env: {
    ...map('More environment variables, such as those of OpenTelemetry', { type: ['string', 'integer', 'boolean'] }),
    propertyNames: { pattern: '^[A-Z][A-Z0-9_]*$', not: { pattern: '^TALKMESH_' } },
  },
  secretMounts: {
    ...map('Secrets to mount, by folder name: `/etc/talkmesh/NAME`, for settings that name a file', name('Secret')),
    propertyNames: { pattern: '^[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?$', not: { enum: [...MOUNTED_BY_CHART] } },
  },
  resources: resources('CPU, memory and devices of one pod'),
  startupSeconds: whole('Longest start, the loading of the model included; then the container starts again', 2, 7200),
  nodeSelector,
  tolerations,
  affinity: native('Affinity of the pods'),
  priorityClassName: name('Priority of the pods'),
  runtimeClassName: name('Container runtime, such as nvidia'),
  shmSize: text('Size of /dev/shm; empty: that of the runtime', { pattern: `^$|${QUANTITY}` }),
  topologySpread: map(
    'Spread of the pods, by topology key',
    group('One constraint', {
      maxSkew: whole('Largest difference', 1, 1000),
      whenUnsatisfiable: oneOf('What to do when it cannot be kept', ['ScheduleAnyway', 'DoNotSchedule']),
    }),
  ),
  rollout: group('How an upgrade replaces pods', {
    maxSurge: whole('Pods above the wanted number', 0, 1000),
    maxUnavailable: whole('Pods below the wanted number', 0, 1000),
  }),
  disruptionBudget: group('PodDisruptionBudget: what a drain of nodes may take away', {
    enabled: flag('Whether to make one'),
    maxUnavailable: { type: ['integer', 'string'], description: 'A number of pods, or a share such as 25%' },
  }),
  autoscaling: group('Number of pods by load', {
    kind: oneOf('none: `replicas` pods. hpa: HorizontalPodAutoscaler. keda: ScaledObject', kinds),
    minReplicas: whole('Fewest pods', 1, 1000),
    maxReplicas: whole('Most pods', 1, 1000),
    target: {
      ...{ type: 'number', description: 'Share of the places (gateway: of the CPU) that should be taken' },
      ...{ minimum: 0.05, maximum: 1 },
    },
    scaleDownSeconds: whole('How long the load must be low before a pod goes', 0, 3600),
  }),
  podAnnotations: map('More annotations of the pods'),
  podLabels: map('More labels of the pods'),
  podTemplate: native('Merged over the pod template, for what has no value here; lists are replaced'),
  extraEgress: list('More rules for what the pods may call', native('A rule of a NetworkPolicy')),
});

const RTC_PORTS = {
  rtcPorts: group('UDP ports of a pod when media.mode is hostPort or hostNetwork; one peer takes one', {
    min: whole('First port', 1024, 65_535),
    max: whole('Last port', 1024, 65_535),
  }),
};

const PATH = text(
  'Path prefix. REST and gRPC work below one; the page and WHIP players that are not of this repository need /',
  { pattern: '^/([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?$' },
);

export function valuesSchema(): Json {
  const common = settings('gateway').filter(({ isCommon }) => isCommon);
  const services = SERVICES.map((service) => {
    const kinds = service === 'gateway' ? ['none', 'hpa'] : ['none', 'hpa', 'keda'];
    const own = stage(config(`Settings of ${service}; they override config`, settings(service)), kinds);
    const isMedia = settingsOf(service).some(({ key }) => key === 'rtcPortMin');
    return [service, group(`Values of ${service}; they override defaults`, { ...own, ...(isMedia && RTC_PORTS) })];
  });
  const { config: _, ...shared } = stage({}, ['none', 'hpa', 'keda']);
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    ...group('Values of the chart talkmesh', {
      global: native('Unused; Helm passes it to charts that are dependencies'),
      nameOverride: text('First part of all names; empty: talkmesh-RELEASE', {
        pattern: '^([a-z]([-a-z0-9]{0,61}[a-z0-9])?)?$',
      }),
      image: group('Images: REGISTRY/REPOSITORY/SERVICE:TAG', {
        registry: text('Host of the registry; empty: the default of the container runtime'),
        repository: text('Folder of the images'),
        tag: text('Empty: the version of the app', { not: { const: 'latest' } }),
        pullPolicy: oneOf('When to pull', ['IfNotPresent', 'Always', 'Never']),
        pullSecrets: list('Secrets for the registry', name('Secret')),
      }),
      config: config('Settings of all services', common),
      auth: group('API keys of callers and the secret that signs session tokens', {
        meshSecret: name('Secret whose key `secret` the gateway sends to the workers; empty: the chart makes one'),
        existingSecret: name(
          'Secret with `api-keys` (separated by commas) and `token-secret`; empty: the chart makes one',
        ),
        apiKeys: list(
          'API keys, when the chart makes the Secret; empty: one random key',
          text('A key', { minLength: 16 }),
        ),
        rotation: text('Any text; a change restarts the pods that read Secrets'),
      }),
      model: group('The model that the workers run', {
        source: oneOf('image: in the image. pvc: on a volume. download: an init container fetches it', [
          'image',
          'pvc',
          'download',
        ]),
        path: text('Folder in the image'),
        chunkLatentFrames: whole("Length of a chunk, latent frames (nano: 3 or 7); 0: the model's own", 0, 64),
        claimName: name('PersistentVolumeClaim that holds the model folder'),
        url: text('Folder that holds model.json', { pattern: '^(https?://[^\\s]+)?$' }),
        sha256: text('Checksum of model.json, which holds those of the other files', { pattern: '^([0-9a-f]{64})?$' }),
        sizeLimit: text('Most that a download may take', { pattern: QUANTITY }),
      }),
      recordings: group('Recordings of calls; webrtc-egress then needs an image with ffmpeg', {
        claimName: name(
          'PersistentVolumeClaim that gateways and webrtc-egress share (ReadWriteMany on several nodes); empty: none',
        ),
        keySecret: name('Secret whose key `key.pem` is the private key that signs manifests'),
      }),
      media: group('How WebRTC media reach the pods of audio-ingest and webrtc-egress', {
        mode: oneOf('turn: through TURN servers. hostPort: ports of the node. hostNetwork: the network of the node', [
          'turn',
          'hostPort',
          'hostNetwork',
        ]),
        iceUrls: list('stun:, turn: and turns: URLs', text('A URL', { pattern: '^(stuns?|turns?):[^\\s,]+$' })),
        iceUsername: text('User of the TURN servers'),
        iceCredentialSecret: name('Secret whose key `credential` is the TURN password'),
        advertise: list('Addresses in answers, for hostPort and hostNetwork; empty: the address of the node'),
        nodeCidrs: list(
          'Address ranges of the nodes, for NetworkPolicies with hostNetwork',
          text('A range', { pattern: CIDR }),
        ),
      }),
      nats: group('NATS with JetStream', {
        enabled: flag('Whether the chart runs a server; otherwise `url` names yours'),
        replicas: {
          ...{ type: 'integer', enum: [1, 3, 5] },
          description:
            'Servers, each with a copy of every stream and bucket; with servers of yours: the number of copies',
        },
        image: text('Image of the server', { not: { pattern: ':latest$' } }),
        memoryMiB: whole(
          "Memory for streams and buckets: config.retentionMb, users' pictures, and up to 64 MiB of webhooks that wait",
          64,
          65_536,
        ),
        resources: resources('CPU and memory of the server'),
        nodeSelector,
        tolerations,
        url: text('nats:// or tls:// URLs of your servers, separated by commas', {
          pattern: '^((nats|tls)://[^\\s]+)?$',
        }),
        existingSecret: name(
          'Secret with one password per service, by the name of the service; empty: the chart makes it, or no user with your own server',
        ),
        tlsSecret: name(
          'Secret with ca.crt, tls.crt and tls.key for TLS; services read ca.crt, the server of the chart the others; empty: no TLS',
        ),
        port: whole('Port of your servers, for NetworkPolicies', 1, 65_535),
      }),
      grpc: group('gRPC between the gateway and the workers', {
        tlsSecret: text(
          'Secret with ca.crt, tls.crt and tls.key for mutual TLS; empty: no TLS. `{service}` in it is the name of each service: `mesh-tls-{service}`. A certificate must have the name of its service (gateway, audio-ingest ...) as a DNS name; without `{service}` one certificate has all six',
          { pattern: NAME_PER_SERVICE },
        ),
      }),
      defaults: group('Values of all six services; services.NAME overrides them', shared),
      services: { ...group('Values by service', Object.fromEntries(services) as Json), required: SERVICES },
      expose: group('How callers reach the gateway', {
        service: group('Its Service', {
          type: oneOf('Type', ['ClusterIP', 'NodePort', 'LoadBalancer']),
          httpPort: whole('REST, WHIP, WHEP and the page', 1, 65_535),
          grpcPort: whole('gRPC', 1, 65_535),
          annotations: map('Annotations'),
        }),
        ingress: group('Its Ingress', {
          enabled: flag('Whether to make one'),
          className: text('IngressClass'),
          host: text('Host name'),
          path: PATH,
          tlsSecret: name('Secret with the certificate'),
          annotations: map('Annotations for the controller'),
        }),
        gatewayApi: group('Its routes of the Gateway API', {
          enabled: flag('Whether to make an HTTPRoute'),
          parentRefs: list('Gateways', native('A reference')),
          hostnames: list('Host names'),
          path: PATH,
          grpc: flag('Whether to make a GRPCRoute as well'),
        }),
      }),
      keda: group('For services whose autoscaling.kind is keda', {
        prometheusUrl: text('Prometheus that scrapes the services', { pattern: '^https?://' }),
        pollingSeconds: whole('Interval of the queries', 1, 3600),
        fallbackReplicas: whole('Pods while Prometheus does not answer', 1, 1000),
      }),
      networkPolicy: group('What may talk to what', {
        enabled: flag('Whether to deny everything but the edges of the pipeline'),
        clients: list(
          'Who may call the gateway; empty: everyone who reaches it, every pod of the cluster included',
          native('A peer of a NetworkPolicy'),
        ),
        monitoring: list('Who may read metrics; empty: no one', native('A peer of a NetworkPolicy')),
      }),
      monitoring: group('Objects of the Prometheus operator', {
        serviceMonitor: group('Scraping of all services', {
          enabled: flag('Whether to make a ServiceMonitor'),
          interval: text('Interval', { pattern: DURATION }),
          labels: map('Labels by which your Prometheus selects it'),
        }),
        rules: group('Recording rules and alerts', {
          enabled: flag('Whether to make a PrometheusRule'),
          labels: map('Labels by which your Prometheus selects it'),
          runbookUrl: text('Address of this repository, which comes before the path of a runbook', {
            pattern: '^(https?://[^\\s]+)?$',
          }),
          disabled: list('Names of alerts to leave out'),
        }),
        dashboards: group('Dashboards, as ConfigMaps for the sidecar of Grafana', {
          enabled: flag('Whether to make them'),
          labels: map('Labels by which the sidecar selects them'),
          annotations: map('Annotations, such as one that names a folder'),
        }),
      }),
      telemetry: group('Traces', {
        otlpEndpoint: text('OTLP/HTTP endpoint of a collector; empty: no traces', { pattern: '^(https?://[^\\s]+)?$' }),
        traceShare: {
          type: 'number',
          description: 'Share of the turns that are traced; those that miss a deadline always are',
          ...{ minimum: 0, maximum: 1 },
        },
      }),
      test: group('`helm test`', {
        image: image('Image with /app/smoke.js: every image that deploy/docker builds has it'),
      }),
      extraObjects: map('More objects, by a name of yours; templates in them are filled in', native('An object')),
    }),
  };
}
