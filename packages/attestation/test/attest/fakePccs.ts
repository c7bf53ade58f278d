import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Collateral } from '../../src/verify/index.ts';

export type FakePccs = {
  readonly url: string;
  /** Paths with queries, in the order in which they were asked. */
  readonly asked: string[];
  collateral: Collateral;
  /** Answers in place of the good one, for paths that contain a text; true where it did. */
  instead: (path: string, response: ServerResponse) => boolean;
  readonly stop: () => Promise<void>;
};

/** Intel's PCS, version 4: documents in the body, the chains of their signers percent-encoded in headers. */
export async function startFakePccs(collateral: Collateral): Promise<FakePccs> {
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    pccs.asked.push(path);
    if (!pccs.instead(path, response)) goodAnswer(pccs.collateral, path, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const pccs: FakePccs = {
    url: `http://127.0.0.1:${port}`,
    asked: [],
    collateral,
    instead: () => false,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return pccs;
}

export const encoded = (pem: string): string => encodeURIComponent(pem);

export function signedBody(name: 'tcbInfo' | 'enclaveIdentity', text: string, signature: string): string {
  return `{"${name}":${text},"signature":"${signature}"}`;
}

export function goodAnswer(collateral: Collateral, path: string, response: ServerResponse): void {
  const of = collateral;
  if (path.startsWith('/sgx/certification/v4/pckcrl?')) {
    response.setHeader('SGX-PCK-CRL-Issuer-Chain', encoded(of.pck_crl_issuer_chain));
    response.end(Buffer.from(of.pck_crl, 'hex'));
  } else if (path === '/sgx/certification/v4/rootcacrl') response.end(of.root_ca_crl);
  else if (path.startsWith('/tdx/certification/v4/tcb?')) {
    response.setHeader('TCB-Info-Issuer-Chain', encoded(of.tcb_info_issuer_chain));
    response.end(signedBody('tcbInfo', of.tcb_info, of.tcb_info_signature));
  } else if (path === '/tdx/certification/v4/qe/identity') {
    response.setHeader('SGX-Enclave-Identity-Issuer-Chain', encoded(of.qe_identity_issuer_chain));
    response.end(signedBody('enclaveIdentity', of.qe_identity, of.qe_identity_signature));
  } else answer(response, 404, 'not found');
}

export function answer(response: ServerResponse, status: number, body: string | Buffer, headers: object = {}): true {
  response.writeHead(status, headers as Record<string, string>);
  response.end(body);
  return true;
}
