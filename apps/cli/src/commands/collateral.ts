import { readFile } from 'node:fs/promises';
import { collateralSubmissions } from '@cloister/attestation/onchain';
import { AttestationError, parseEvidence, readCollateral } from '@cloister/attestation/verify';
import {
  ChainAccount,
  collateralStoreAbi,
  type IntelContracts,
  intelContractsOf,
  publishCollateral,
  type TeePolicyStatus,
} from '@cloister/chain';
import { CloisterError, parseBoundedJson, teeTypes } from '@cloister/core';
import type { CloisterClient } from '@cloister/sdk';
import type { Command } from 'commander';
import { print } from '../output.ts';
import { type NetworkOptions, openAccount, openClient } from '../settings.ts';

type Options = NetworkOptions & { json?: boolean };

/** What stands on the chain for one TEE type. Times in unix seconds. */
type TeeStatus = {
  readonly teeType: (typeof intelTypes)[number];
  readonly policy: TeePolicyStatus;
  readonly contracts: IntelContracts;
  readonly simulated: boolean;
  readonly rootCrl: { readonly thisUpdate: number; readonly nextUpdate: number };
  readonly tcbInfos: readonly Statement[];
  readonly qeIdentity: Statement | null;
};
type Statement = {
  readonly fmspc?: string;
  readonly tcbEvaluationDataNumber: number;
  readonly issueDate: number;
  readonly nextUpdate: number;
};

const maxFileBytes = 2 * 1024 * 1024;
const intelTypes = ['tdx', 'sgx'] as const;

export function collateralCommand(program: Command): void {
  const group = program
    .command('collateral')
    .description("Intel's collateral on the chain, by which it judges evidence itself");

  group
    .command('status')
    .description('what stands there now, and what registering by it asks')
    .action(async (_: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const status = await readStatus(await openClient(options));
      print(options, status, () => (status.length === 0 ? 'No TEE type of Intel can register.' : lines(status)));
    });

  group
    .command('publish')
    .description('bring newer collateral to the chain; anyone may, the contract checks every signature')
    .argument('<file>', 'collateral as JSON, or an evidence document that carries it')
    .action(async (file: string, _: unknown, command: Command) => {
      const options = command.optsWithGlobals<Options>();
      const collateral = readCollateralOf(await readFile(file), file);
      const client = await openClient(options);
      const [rpc] = client.network.rpcs;
      const [place] = await readPlaces(client);
      if (place === undefined || rpc === undefined)
        throw new CollateralCommandError('This network judges no evidence of Intel on its chain');
      const account = new ChainAccount({
        chainId: client.network.chainId,
        rpc,
        account: await openAccount(options),
      });
      const published = await publishCollateral(
        account,
        place.contracts.collateralStore,
        collateralSubmissions(collateral),
      );
      print(options, published, () =>
        published
          .map(({ what, gas }) => `${what.padEnd(12)} ${gas === null ? 'as new or newer there already' : `${gas} gas`}`)
          .join('\n'),
      );
    });
}

type Place = Pick<TeeStatus, 'teeType' | 'policy' | 'contracts'>;

/** Where the network keeps collateral, for each TEE type of Intel that can register. */
async function readPlaces({ registry }: CloisterClient): Promise<readonly Place[]> {
  const found = await Promise.all(
    intelTypes.map(async (teeType) => {
      const policy = await registry.teePolicy(teeTypes[teeType]);
      if (policy === undefined) return undefined;
      return { teeType, policy, contracts: await intelContractsOf(registry.view, policy.verifier) };
    }),
  );
  return found.filter((place) => place !== undefined);
}

async function readStatus(client: CloisterClient): Promise<readonly TeeStatus[]> {
  const { view } = client.registry;
  return Promise.all(
    (await readPlaces(client)).map(async (place): Promise<TeeStatus> => {
      const at = { address: place.contracts.collateralStore, abi: collateralStoreAbi } as const;
      const args = { teeType: teeTypes[place.teeType] };
      const [simulated, [thisUpdate, nextUpdate], tcbInfos, qeIdentities] = await Promise.all([
        view.read({ ...at, functionName: 'simulated', args: [] }),
        view.read({ ...at, functionName: 'rootCrl', args: [] }),
        view.events({ ...at, eventName: 'TcbInfoSubmitted', args }),
        view.events({ ...at, eventName: 'QeIdentitySubmitted', args }),
      ]);
      // The newest of each kind of platform: later events replace earlier ones.
      const newest = new Map(tcbInfos.map(statementOf).map((info) => [info.fmspc, info]));
      return {
        ...place,
        simulated,
        rootCrl: { thisUpdate, nextUpdate },
        tcbInfos: [...newest.values()],
        qeIdentity: qeIdentities.map(statementOf).at(-1) ?? null,
      };
    }),
  );
}

function statementOf(event: object): Statement {
  const { fmspc, evaluation, issueDate, nextUpdate } = event as {
    readonly fmspc?: string;
    readonly evaluation: number;
    readonly issueDate: number;
    readonly nextUpdate: number;
  };
  return { ...(fmspc === undefined ? {} : { fmspc }), tcbEvaluationDataNumber: evaluation, issueDate, nextUpdate };
}

function lines(all: readonly TeeStatus[]): string {
  return all
    .map((status) => {
      const { teeType, policy, contracts, simulated, rootCrl, tcbInfos, qeIdentity } = status;
      const root = simulated ? 'a root named DEV: SIMULATED' : "Intel's root";
      const asks = `${policy.acceptedTcbStatuses.join(' or ')}, evaluation data ${policy.minimumTcbEvaluationDataNumber} or later`;
      return [
        `${teeType.toUpperCase()}  below ${root}`,
        `  registers with   ${asks}; leases of ${policy.leaseDurationSeconds} s`,
        `  store            ${contracts.collateralStore}`,
        `  root CRL         ${rootCrl.nextUpdate === 0 ? 'missing' : span(rootCrl.thisUpdate, rootCrl.nextUpdate)}`,
        `  QE identity      ${qeIdentity === null ? 'missing' : said(qeIdentity)}`,
        ...(tcbInfos.length === 0 ? ['  TCB info         none'] : []),
        ...tcbInfos.map((info) => `  TCB info         ${info.fmspc}: ${said(info)}`),
      ].join('\n');
    })
    .join('\n');
}

function said({ tcbEvaluationDataNumber, issueDate, nextUpdate }: Statement): string {
  return `evaluation data ${tcbEvaluationDataNumber}, ${span(issueDate, nextUpdate)}`;
}

function span(from: number, to: number): string {
  const day = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 16);
  const over = to * 1000 < Date.now() ? ' (ended)' : '';
  return `${day(from)} to ${day(to)}${over}`;
}

/** The collateral of a file. Throws AttestationError. */
function readCollateralOf(bytes: Uint8Array, file: string) {
  const json = parseBoundedJson(bytes, maxFileBytes, 'collateral file');
  if (typeof json !== 'object' || json === null || !('format' in json)) return readCollateral(json);
  const document = parseEvidence(bytes);
  if ('collateral' in document) return document.collateral;
  throw new AttestationError({
    code: 'COLLATERAL_MISSING',
    place: file,
    value: document.teeType,
    message: `Evidence of ${document.teeType} carries no collateral of Intel`,
  });
}

export class CollateralCommandError extends CloisterError<'COLLATERAL_NOT_KEPT'> {
  override readonly name = 'CollateralCommandError';
  constructor(message: string) {
    super({ code: 'COLLATERAL_NOT_KEPT', message, hint: 'Its workers may be attested by the committee alone' });
  }
}
