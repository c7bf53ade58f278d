import {
  createSimulatedPlatform,
  makeSimulatedRoot,
  SimulatedTdxDevice,
  type SimulatedTdxDeviceInit,
} from '@cloister/attestation/unsafe-simulated';
import { EvidenceVerifier } from '@cloister/attestation/verify';
import { type Bytes32, functionManifest, type Manifest, manifestId } from '@cloister/core';
import { generateSecp256k1, SecretBytes } from '@cloister/crypto';
import { addressOf, signDigest } from '@cloister/crypto/native-secp256k1';
import { GuestAgent, type GuestAgentComponents, type GuestAgentInit, GuestQuotes } from '@cloister/guest';

/** 2026-09-21, in unix seconds. */
export const now = 1_790_000_000;
export const signal = AbortSignal.timeout(600_000);
export const b32 = (byte: number): Bytes32 => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`;

const root = makeSimulatedRoot(now);
const image: SimulatedTdxDeviceInit['image'] = {
  mrtd: new Uint8Array(48).fill(0xa1),
  rtmr0: new Uint8Array(48).fill(0xb0),
  rtmr1: new Uint8Array(48).fill(0xb1),
  rtmr2: new Uint8Array(48).fill(0xb2),
};
const platform = createSimulatedPlatform(root, { now });
export const device = new SimulatedTdxDevice({ platform, image, configId: b32(0xab), now: () => now });
export const verifier = new EvidenceVerifier({ roots: [root.trustRoot] });
export const receiptSigner = generateSecp256k1();
export const domain = { chainId: 31_337, registry: `0x${'11'.repeat(20)}` } as const;

export const manifest: Manifest = functionManifest({
  name: 'asking',
  code: { sha256: b32(3), bytes: 1 },
  outbound: ['worker:guest'],
  env: { GREETING: 'Grüße, 世界' },
});

export type AgentChanges = Partial<GuestAgentComponents> & {
  readonly app?: Bytes32;
  readonly keyVersion?: number;
  readonly nonce?: Bytes32;
  /** What all of the root key's bytes are. */
  readonly rootByte?: number;
};

export function agentInit({ app = b32(1), keyVersion = 1, nonce = b32(9) }: AgentChanges = {}): GuestAgentInit {
  const id = manifestId(manifest);
  const instance = { receiptSigner: addressOf(receiptSigner), app, manifest: id, keyVersion, nonce };
  return { ...domain, instance, manifest, keyProvider: b32(0xcc), simulated: true };
}

/** An agent of an app of its own, with a simulated machine under it. */
export function agentWith(changes: AgentChanges = {}): Promise<GuestAgent> {
  const { rootByte = 7 } = changes;
  return GuestAgent.open(
    {
      rootKey: changes.rootKey ?? new SecretBytes(new Uint8Array(32).fill(rootByte)),
      quotes: changes.quotes ?? new GuestQuotes(device),
      sign: changes.sign ?? ((digest) => signDigest(receiptSigner, digest)),
      now: changes.now ?? (() => now),
    },
    agentInit(changes),
  );
}
