import {
  type CollateralSubmission,
  collateralSubmissions,
  fullEvidence,
  platformOfQuote,
} from '@cloister/attestation/onchain';
import type { SimulatedRoot } from '@cloister/attestation/unsafe-simulated';
import { type Collateral, commonNameOf, parseQuote } from '@cloister/attestation/verify';
import { bytesToBigInt, bytesToHex, type Hex } from 'viem';
import { makeWorld, now, sharedRoot, type World } from '../../../packages/attestation/test/synthetic.ts';
import type { Connection } from './accounts.ts';

export { makeWorld, now, sharedRoot, type World };

/** Contracts that verify Intel's quotes below one root, and nothing in them. */
export type Attestation = Awaited<ReturnType<typeof deployAttestation>>;

/** What a chain whose clock starts at the synthetic time is created with. */
export const atNow = { override: { initialDate: new Date(now * 1000) } } as const;

/** Intel SGX Root CA. */
export const intelRoot = {
  x: 0x0ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5n,
  y: 0x67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394n,
} as const;

export function keyOf(root: SimulatedRoot): { readonly x: bigint; readonly y: bigint } {
  const { publicKey } = root.root.key;
  return { x: bytesToBigInt(publicKey.subarray(0, 32)), y: bytesToBigInt(publicKey.subarray(32)) };
}

export async function deployAttestation({ viem }: Connection, root = keyOf(sharedRoot)) {
  const store = await viem.deployContract('CollateralStore', [root.x, root.y]);
  const pckRegistry = await viem.deployContract('PckRegistry', [store.address]);
  const tdx = await viem.deployContract('TdxVerifier', [store.address, pckRegistry.address]);
  const sgx = await viem.deployContract('SgxVerifier', [store.address, pckRegistry.address]);
  return { viem, store, pckRegistry, tdx, sgx };
}

/** Submits one part; gives the transaction's hash. */
export function submit({ store }: Attestation, submission: CollateralSubmission): Promise<Hex> {
  if ('json' in submission) {
    const args = [submission.json, submission.r, submission.s] as const;
    return submission.what === 'tcb-info' ? store.write.submitTcbInfo(args) : store.write.submitQeIdentity(args);
  }
  const args = [submission.der] as const;
  switch (submission.what) {
    case 'root-crl':
      return store.write.submitRootCrl(args);
    case 'pck-ca':
      return store.write.submitPckCa(args);
    case 'tcb-signer':
      return store.write.submitTcbSigner(args);
    case 'pck-crl':
      return store.write.submitPckCrl(args);
  }
}

/** Submits all of the collateral, in order. */
export async function publish(attestation: Attestation, collateral: Collateral): Promise<void> {
  for (const submission of collateralSubmissions(collateral)) await submit(attestation, submission);
}

export function certificateOf(quote: Uint8Array): Hex {
  return bytesToHex(platformOfQuote(quote).certificate);
}

export function platformKeyOf(quote: Uint8Array): Hex {
  return bytesToHex(platformOfQuote(quote).platformKey);
}

/** Collateral and platform as the chain must know them before it verifies a quote. */
export async function prepare(attestation: Attestation, world: Pick<World, 'collateral' | 'quote'>): Promise<void> {
  await publish(attestation, world.collateral);
  await attestation.pckRegistry.write.registerPck([certificateOf(world.quote)]);
}

/** The claims of a quote by the verifier of its type; remembers nothing. */
export async function claimsOf(attestation: Attestation, quote: Uint8Array, evidence = fullEvidence(quote)) {
  const verifier = parseQuote(quote).body.kind === 'tdx' ? attestation.tdx : attestation.sgx;
  return (await verifier.simulate.verify([evidence])).result;
}

/** The name of a role below a DEV root. */
export function devName(role: Parameters<typeof commonNameOf>[0], pckCa?: 'processor' | 'platform'): string {
  return commonNameOf(role, 'dev', pckCa);
}
