import { type ChainAccount, creditLineAbi, creditLineBytecode, deployContract } from '@cloister/chain';
import { type Address, type Bytes32, contextHash, type Hex, subjectOf } from '@cloister/core';
import { keccak256, randomBytes, toHex, utf8 } from '@cloister/crypto';
import type { CallRequest, CallResult, DeployedApp } from '@cloister/sdk';
import { generatePrivateKey } from 'viem/accounts';
import type { SignedCreditFile } from '../../examples/credit-score/function.ts';
import { createIssuer, type Issuer } from '../../examples/credit-score/issuer.ts';
import type { CreditFile } from '../../examples/credit-score/score.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import type { RunningDevnet } from '../devnet.ts';
import { accountsOf } from './accounts.ts';
import { deployFile } from './apps.ts';
import { ChainControl } from './chainControl.ts';

const purpose = toHex(keccak256(utf8('cloister-credit-line/open')));

/** The example of `examples/credit-score`, deployed: a bureau, the function that scores its files. */
export type CreditScoreApp = { readonly issuer: Issuer; readonly deployed: DeployedApp };

/** Deploys the scoring function for a bureau with a fresh key. */
export async function deployCreditScore(network: RunningDevnet, name: string): Promise<CreditScoreApp> {
  const issuer = await createIssuer();
  const manifest = { env: { ISSUER_KEY: issuer.publicKey } };
  const deployed = await deployFile(network, name, inRoot('examples/credit-score/function.ts'), manifest);
  return { issuer, deployed };
}

/** An account on the chain with enough for its fees. */
export async function newBorrower(network: RunningDevnet): Promise<ChainAccount> {
  const control = new ChainControl(network);
  const borrower = control.account({ privateKey: generatePrivateKey() });
  const developer = control.account(accountsOf(network).developer);
  await developer.send(borrower.address, '0x', 'Fees for a borrower', undefined, 10n ** 17n);
  return borrower;
}

/** A request with a signed file in its body. */
export function creditRequest(signed: SignedCreditFile | object, path: '/decision' | '/report'): CallRequest {
  return {
    method: 'POST',
    path,
    headers: [['content-type', 'application/json']],
    body: utf8(JSON.stringify(signed)),
  };
}

/** The sample consumer on the chain: which app it trusts, and how it is asked. */
export class CreditLine {
  readonly address: Address;
  readonly #chainId: number;

  private constructor(address: Address, chainId: number) {
    this.address = address;
    this.#chainId = chainId;
  }

  /** Deploys one that trusts the app with these manifests alone. */
  static async deploy(
    network: RunningDevnet,
    policy: { readonly app: Bytes32; readonly manifests: readonly Bytes32[]; readonly maxAgeBlocks: bigint },
  ): Promise<CreditLine> {
    const { chainId, contracts } = network.network;
    const control = new ChainControl(network);
    const address = await deployContract(control.account(accountsOf(network).developer), control.rpcUrl, {
      name: 'CreditLine',
      abi: creditLineAbi,
      bytecode: creditLineBytecode,
      args: [{ workerRegistry: contracts.workerRegistry, appRegistry: contracts.appRegistry, ...policy }],
    });
    return new CreditLine(address, chainId);
  }

  /** What a receipt must carry to be used here once by that borrower. */
  contextFor(borrower: Address, nonce: bigint): Bytes32 {
    return contextHash({
      chainId: this.#chainId,
      consumer: this.address,
      subject: subjectOf(borrower),
      purpose,
      nonce,
    });
  }

  /** Opens a credit line with an answer; `changed` replaces parts of what is shown to the contract. */
  async open(
    borrower: ChainAccount,
    result: CallResult,
    nonce: bigint,
    changed: { readonly body?: Uint8Array; readonly fields?: object; readonly signature?: Hex } = {},
  ): Promise<void> {
    const { receipt, signature } = result.receipt;
    const body = toHex(changed.body ?? result.body);
    await borrower.write({
      address: this.address,
      abi: creditLineAbi,
      functionName: 'open',
      args: [{ ...receipt, ...changed.fields }, changed.signature ?? signature, nonce, result.attempt.outputSalt, body],
    });
  }
}

export function newNonce(): bigint {
  return BigInt(toHex(randomBytes(16)));
}

/** A credit file whose values are unlike anything else that passes: nobody who finds one of them found it by chance. */
export function conspicuousFile(applicant: Address): CreditFile {
  return {
    issuer: 'Bureau of Conspicuous Values 5f1c',
    applicant,
    monthlyIncome: 918_273_645_546,
    monthlyDebtService: 123_698_745_021,
    accounts: [
      { openedMonthsAgo: 96, limit: 700_461_935_528, balance: 64_208_817_739, latePayments: 0 },
      { openedMonthsAgo: 31, limit: 350_057_246_913, balance: 42_990_413_387, latePayments: 1 },
    ],
  };
}
