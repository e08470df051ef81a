/** The certificate authority of the cluster, and for each of its clients a certificate and a kubeconfig file. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProgram } from '../../docker/proof/program.js';

/** Subjects by file name; Kubernetes derives user and groups from them. */
const SUBJECTS = {
  apiserver: '/CN=kube-apiserver',
  admin: '/O=system:masters/CN=admin',
} as const;

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const EXTENSIONS = `subjectAltName=IP:127.0.0.1,IP:10.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes.default.svc
extendedKeyUsage=serverAuth,clientAuth
`;
const DAYS = ['-days', '2'];

/** Writes `pki/*.crt`, `pki/*.key` and `*.kubeconfig` into the folder. @param server URL of the API server */
export async function writeCertificates(folder: string, server: string): Promise<void> {
  const at = (name: string): string => join(folder, 'pki', name);
  await mkdir(join(folder, 'pki'), { recursive: true });
  const authority = ['-keyout', at('ca.key'), '-out', at('ca.crt')];
  await runProgram('openssl', ['req', '-x509', ...KEY, ...DAYS, '-subj', '/CN=cluster-proof', ...authority]);
  const account = ['-name', 'prime256v1', '-genkey', '-noout', '-out', at('service-accounts.key')];
  await runProgram('openssl', ['ecparam', ...account]);
  await writeFile(at('extensions'), EXTENSIONS);
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const [key, request, certificate] = ['key', 'csr', 'crt'].map((kind) => at(`${name}.${kind}`)) as [
      string,
      string,
      string,
    ];
    await runProgram('openssl', ['req', ...KEY, '-subj', subject, '-keyout', key, '-out', request]);
    const signer = ['-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', at('extensions')];
    await runProgram('openssl', ['x509', '-req', '-in', request, ...signer, ...DAYS, '-out', certificate]);
    await writeFile(join(folder, `${name}.kubeconfig`), kubeconfig(server, at('ca.crt'), certificate, key));
  }
}

/** JSON is YAML. */
const kubeconfig = (server: string, authority: string, certificate: string, key: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'proof', cluster: { server, 'certificate-authority': authority } }],
    users: [{ name: 'client', user: { 'client-certificate': certificate, 'client-key': key } }],
    contexts: [{ name: 'proof', context: { cluster: 'proof', user: 'client' } }],
    'current-context': 'proof',
  });
