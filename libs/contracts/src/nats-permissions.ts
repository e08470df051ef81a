import {
  type BucketName,
  type BucketUse,
  PIPELINE,
  RETAINED_STREAMS,
  type RetainedStream,
  SERVICES,
  type ServiceName,
} from './pipeline.js';
import { RETENTION } from './retention.js';
import { SESSIONS_BUCKET, subjectOfAll } from './subjects.js';

/** Permissions of one NATS user, in the form in which nats-server reads them. */
export interface NatsPermissions {
  readonly publish: { readonly allow: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[]; readonly deny: readonly string[] };
}

export interface NatsUser {
  /** The name of the service. */
  readonly user: ServiceName;
  readonly permissions: NatsPermissions;
}

/** Prefix of a service's reply subjects: no service may listen to the replies that another one receives. */
export const inboxPrefixOf = (service: ServiceName): string => `_INBOX.${service}`;

/** Retained streams that a service creates when they are missing: those that it publishes or reads back. */
export function retainedStreamsOf(service: ServiceName): RetainedStream[] {
  const { publishes, readsBack } = PIPELINE[service];
  return RETAINED_STREAMS.filter((stream) => publishes.includes(stream) || readsBack.includes(stream));
}

/** Whether a service ends sessions, and may therefore delete what NATS retains of them: it writes the records of sessions. */
export const endsSessions = (service: ServiceName): boolean => mayUse(service, SESSIONS_BUCKET, 'put');

export function mayUse(service: ServiceName, bucket: BucketName, ...uses: BucketUse[]): boolean {
  const allowed = PIPELINE[service].buckets[bucket] ?? [];
  return uses.some((use) => allowed.includes(use));
}

/** One NATS user per service with exactly the permissions that the pipeline table implies, those of the JetStream API included. */
export function natsUsers(): NatsUser[] {
  return SERVICES.map((user) => ({ user, permissions: natsPermissions(user) }));
}

export function natsPermissions(service: ServiceName): NatsPermissions {
  const { publishes, subscribes, queueGroup } = PIPELINE[service];
  const listened = subscribes.map(subjectOfAll);
  return {
    publish: { allow: [...publishes.map(subjectOfAll), ...retentionSubjects(service), ...bucketSubjects(service)] },
    subscribe: {
      allow: [
        ...listened,
        ...(queueGroup === null ? [] : listened.map((subject) => `${subject} ${queueGroup}`)),
        `${inboxPrefixOf(service)}.>`,
      ],
      // "subject queue": a subscription in any queue group would take messages away from the other members.
      deny: queueGroup === null ? listened.map((subject) => `${subject} >`) : [],
    },
  };
}

function retentionSubjects(service: ServiceName): string[] {
  const create = retainedStreamsOf(service).map((stream) => `$JS.API.STREAM.CREATE.${RETENTION[stream].name}`);
  const { readsBack, follows } = PIPELINE[service];
  const read = readsBack.flatMap((stream) => {
    const { name } = RETENTION[stream];
    return [`$JS.API.STREAM.MSG.GET.${name}`, `$JS.API.CONSUMER.CREATE.${name}`, `$JS.API.CONSUMER.DELETE.${name}.*`];
  });
  const follow = follows.flatMap((stream) => {
    const { name } = RETENTION[stream];
    return [`$JS.API.STREAM.INFO.${name}`, `$JS.API.CONSUMER.CREATE.${name}`, `$JS.API.CONSUMER.DELETE.${name}.*`];
  });
  const purge = endsSessions(service)
    ? RETAINED_STREAMS.map((stream) => `$JS.API.STREAM.PURGE.${RETENTION[stream].name}`)
    : [];
  return [...new Set([...create, ...read, ...follow, ...purge])];
}

function bucketSubjects(service: ServiceName): string[] {
  const entries = Object.entries(PIPELINE[service].buckets) as [BucketName, readonly BucketUse[]][];
  const subjects = entries.flatMap(([bucket, uses]) => uses.flatMap((use) => subjectsOfUse(service, bucket, use)));
  return [...new Set(subjects)];
}

function subjectsOfUse(service: ServiceName, bucket: BucketName, use: BucketUse): string[] {
  const stream = `KV_${bucket}`;
  const create = [`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.CREATE.${stream}`];
  switch (use) {
    case 'get':
      return [`$JS.API.STREAM.MSG.GET.${stream}`];
    case 'put':
      return [`$KV.${bucket}.>`, ...create];
    case 'put-own':
      return [`$KV.${bucket}.${service}.*`, ...create];
    case 'erase':
      return [`$JS.API.STREAM.PURGE.${stream}`];
    case 'list':
      return [
        `$JS.API.STREAM.MSG.GET.${stream}`,
        `$JS.API.STREAM.INFO.${stream}`,
        `$JS.API.CONSUMER.CREATE.${stream}`,
        `$JS.API.CONSUMER.CREATE.${stream}.>`,
        `$JS.API.CONSUMER.INFO.${stream}.*`,
        `$JS.API.CONSUMER.DELETE.${stream}.*`,
        `$JS.FC.${stream}.>`,
      ];
  }
}

/** The `authorization` block of a nats-server's configuration, which accepts JSON. */
export function natsAuthorization(passwordOf: (service: ServiceName) => string): string {
  const users = natsUsers().map((entry) => ({ ...entry, password: passwordOf(entry.user) }));
  return `authorization: ${JSON.stringify({ users }, undefined, 2)}\n`;
}
