/** What `helm install` prints follows from the values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHART, helm } from './chart.js';

const notes = async (...set: string[]): Promise<string> => {
  const flags = ['--namespace=calls', '--dry-run=client', ...set.map((value) => `--set=${value}`)];
  const output = await helm('install', 'talk', CHART, ...flags);
  return output.slice(output.indexOf('NOTES:'));
};

test('without media servers the notes say who can hear', async () => {
  const text = await notes();
  assert.match(text, /kubectl -n calls get secret talkmesh-talk-auth/);
  assert.match(text, /port-forward service\/talkmesh-talk-gateway 8080:80/);
  assert.match(text, /networkPolicy\.clients is empty: every pod of the cluster reaches/);
  assert.match(text, /only callers that reach the addresses of pods can hear and see/);
});

test('ports of nodes, your secrets and your NATS are named', async () => {
  const text = await notes(
    'media.mode=hostPort',
    'auth.existingSecret=mine',
    'nats.enabled=false',
    'nats.url=nats://bus.example.com:4222',
    'expose.service.type=LoadBalancer',
    'expose.service.httpPort=8443',
    'expose.ingress.enabled=true',
    'expose.ingress.host=talk.example.com',
    'expose.ingress.tlsSecret=cert',
    'monitoring.serviceMonitor.enabled=true',
    'networkPolicy.clients[0].ipBlock.cidr=192.0.2.0/24',
  );
  assert.match(text, /40000-40099 \(audio-ingest\)\s+40100-40199 \(webrtc-egress\)/);
  assert.match(text, /is in your Secret mine/);
  assert.match(text, /https:\/\/talk\.example\.com\//);
  assert.match(text, /REST and the page: port 8443, gRPC: port 9090/);
  assert.match(text, /nats:\/\/bus\.example\.com:4222, without user: anyone who reaches it/);
  assert.match(text, /Prometheus cannot scrape yet/);
  assert.doesNotMatch(text, /port-forward|networkPolicy\.clients/);
});
