import { fullEvidence } from '@cloister/attestation/onchain';
import type { Address, Hex } from 'viem';
import type { Connection } from './accounts.ts';
import { deployAttestation, publish } from './attestation.ts';
import { workerBinding } from './evidence.ts';
import { recordedPlatform } from './recordedPlatform.ts';
import { chainId, deployWorld, functionKind, teePolicy, teeTdx } from './world.ts';

export type AttestationWorld = Awaited<ReturnType<typeof deployAttestationWorld>>;

/**
 * The network of {@link deployWorld} with the contracts that verify TDX quotes in place of the scripted one. Nothing has
 * been submitted to them; the chain's clock must stand at `recordedAt`.
 */
export async function deployAttestationWorld(connection: Connection) {
  const platform = recordedPlatform();
  const world = await deployWorld(connection);
  const attestation = await deployAttestation(connection, platform.root);
  await world.govern(world.workers, 'setTeePolicy', [teeTdx, teePolicy(attestation.tdx.address)]);

  /** A quote for a registration, and the block that it attests. */
  async function quoteFor(
    receiptSigner: Address,
    mrConfigId?: Uint8Array,
  ): Promise<{ readonly quote: Uint8Array; readonly block: bigint }> {
    const { hash, number } = await world.publicClient.getBlock();
    const operator = world.operator.account.address;
    const head = workerBinding(chainId, world.workers.address, operator, receiptSigner);
    return { quote: platform.quoteOver(head, hash, mrConfigId), block: number };
  }

  return {
    ...world,
    attestation,
    platform,
    quoteFor,
    /** Submits collateral and the platform's certificate. */
    async makeKnown(): Promise<void> {
      await publish(attestation, platform.collateral);
      await attestation.pckRegistry.write.registerPck([platform.certificate]);
    },
    /** Registers the operator's worker by a quote of now, in whatever form; gives the transaction's hash. */
    async register(
      index: bigint,
      receiptSigner: Address,
      evidenceOf: (quote: Uint8Array) => Hex = fullEvidence,
      mrConfigId?: Uint8Array,
    ): Promise<Hex> {
      const { quote, block } = await quoteFor(receiptSigner, mrConfigId);
      return world.workers.write.register([index, receiptSigner, functionKind, block, teeTdx, evidenceOf(quote)], {
        account: world.operator.account,
      });
    },
  };
}
