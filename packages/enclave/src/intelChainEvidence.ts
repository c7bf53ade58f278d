import {
  collateralSubmissions,
  knownKeyEvidence,
  platformOfQuote,
  rememberingEvidence,
} from '@cloister/attestation/onchain';
import { quoteOf, type SgxDocument, type TdxDocument } from '@cloister/attestation/verify';
import {
  type ChainAccount,
  ChainError,
  type ChainView,
  type IntelContracts,
  intelContractsOf,
  publishCollateral,
  quoteVerifierAbi,
  registerPck,
  type TeePolicyStatus,
  TransactionError,
} from '@cloister/chain';
import { type Bytes32, CloisterError, type Hex, teeTypes, zeroBytes32 } from '@cloister/core';
import { toHex } from '@cloister/crypto';
import type { Logger } from '@cloister/service';

/** What a contract takes as evidence, made of the device's evidence document. */
export type ChainEvidence = { readonly teeType: number; readonly evidence: Hex };

/** The contract that evidence is brought to, as far as its rules for evidence go. */
export type TeePolicies = {
  readonly view: ChainView;
  /** What registering by evidence of a TEE type asks; undefined where the type can't register. */
  teePolicy(
    teeType: number,
    block?: bigint,
    signal?: AbortSignal,
  ): Promise<Pick<TeePolicyStatus, 'verifier'> | undefined>;
};

export type IntelChainEvidenceInit = {
  readonly registry: TeePolicies;
  /** Pays for what it publishes; anyone else could. */
  readonly account: ChainAccount;
  readonly log: Logger;
};

/** What the chain would judge a platform by. */
type Standing = { readonly validUntil: bigint };

/** Collateral on the chain that ends sooner is replaced by newer, where the worker has it. */
const freshSeconds = 2n * 86_400n;
/** The contract's refusal where there is nothing to judge by yet. */
const collateralMissing = 'QuoteVerifierCollateralMissing';
/** Its refusals of a platform's certificate that newer collateral mends. */
const issuerUnknown = new Set([
  'PckRegistryIssuerUnknown',
  'PckRegistryIssuerExpired',
  'PckRegistryCrlMissing',
  'PckRegistryRootCrlMissing',
]);

/**
 * Brings SGX and TDX evidence to the chain: sees to it that Intel's collateral and the platform's certificate stand there,
 * then gives the quote in the contract's compact form, shorter where the attestation key is remembered.
 */
export class IntelChainEvidence {
  readonly #init: IntelChainEvidenceInit;

  constructor(init: IntelChainEvidenceInit) {
    this.#init = init;
  }

  /** Throws CHAIN_EVIDENCE_UNSUPPORTED, TRANSACTION_REFUSED by the reason of the contract, AttestationError. */
  async of(document: TdxDocument | SgxDocument, signal: AbortSignal): Promise<ChainEvidence> {
    const { registry } = this.#init;
    const teeType = teeTypes[document.teeType];
    const policy = await registry.teePolicy(teeType, undefined, signal);
    if (policy === undefined)
      throw new ChainEvidenceError(`The network takes no registrations by ${document.teeType.toUpperCase()} evidence`);
    const contracts = await intelContractsOf(registry.view, policy.verifier, signal);
    const quote = quoteOf(document);
    const { platformKey, certificate } = platformOfQuote(quote);
    const platform = { platformKey: toHex(platformKey) as Bytes32, certificate: toHex(certificate) };

    await this.#makeKnown(document, contracts, platform, signal);
    const standing = await this.#standing(contracts, platform.platformKey, signal);
    if (standing === undefined || standing.validUntil < (await registry.view.head(signal)).timestamp + freshSeconds)
      await this.#publish(document, contracts, signal);

    const short = knownKeyEvidence(quote);
    const known = await this.#isKnownKey(contracts, short, signal);
    return { teeType, evidence: known ? short : rememberingEvidence(quote) };
  }

  /** Registers the platform's certificate where the chain has none, after the collateral that its issuer needs. */
  async #makeKnown(
    document: TdxDocument | SgxDocument,
    contracts: IntelContracts,
    platform: { readonly platformKey: Bytes32; readonly certificate: Hex },
    signal: AbortSignal,
  ): Promise<void> {
    const { account, registry, log } = this.#init;
    const register = () => registerPck(account, registry.view, contracts, platform, signal);
    const gas = await register().catch(async (error: unknown) => {
      if (!(error instanceof TransactionError) || !issuerUnknown.has(String(error.meta.errorName))) throw error;
      await this.#publish(document, contracts, signal);
      return register();
    });
    if (gas !== null) log.info('chain: platform certificate registered', { platformKey: platform.platformKey, gas });
  }

  /** What the chain has on a known platform; undefined where it has no collateral about it. */
  async #standing(
    { verifier }: IntelContracts,
    platformKey: Bytes32,
    signal: AbortSignal,
  ): Promise<Standing | undefined> {
    try {
      const [, , validUntil] = await this.#init.registry.view.read(
        { address: verifier, abi: quoteVerifierAbi, functionName: 'recheck', args: [platformKey, zeroBytes32] },
        signal,
      );
      return { validUntil };
    } catch (error) {
      if (error instanceof ChainError && error.meta.errorName === collateralMissing) return undefined;
      throw error;
    }
  }

  async #publish(
    { collateral }: TdxDocument | SgxDocument,
    { collateralStore }: IntelContracts,
    signal: AbortSignal,
  ): Promise<void> {
    const { account, log } = this.#init;
    const published = await publishCollateral(account, collateralStore, collateralSubmissions(collateral), signal);
    for (const { what, gas } of published) if (gas !== null) log.info('chain: collateral published', { what, gas });
  }

  #isKnownKey({ verifier }: IntelContracts, evidence: Hex, signal: AbortSignal): Promise<boolean> {
    return this.#init.registry.view.read(
      { address: verifier, abi: quoteVerifierAbi, functionName: 'isKnownKey', args: [evidence] },
      signal,
    );
  }
}

export class ChainEvidenceError extends CloisterError<'CHAIN_EVIDENCE_UNSUPPORTED'> {
  override readonly name = 'ChainEvidenceError';
  constructor(message: string) {
    super({
      code: 'CHAIN_EVIDENCE_UNSUPPORTED',
      message,
      hint: 'See the TEE policies of the registry: "cloister collateral status"',
    });
  }
}
