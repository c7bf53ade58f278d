import { type Address, CloisterError, type Hex } from '@cloister/core';
import {
  type Abi,
  concat,
  createPublicClient,
  encodeDeployData,
  getContractAddress,
  http,
  keccak256,
  stringToHex,
} from 'viem';
import type { ChainAccount } from './account.ts';
import {
  appRegistryAbi,
  appRegistryBytecode,
  imageRegistryAbi,
  imageRegistryBytecode,
  phaTokenAbi,
  phaTokenBytecode,
  timelockControllerAbi,
  timelockControllerBytecode,
  unsafeSimulatedVerifierAbi,
  unsafeSimulatedVerifierBytecode,
  workerRegistryAbi,
  workerRegistryBytecode,
} from './generated/index.ts';

/** The deterministic deployment proxy that stands at this address on most chains: salt ‖ init code in, CREATE2 out. */
const create2Factory: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c';

export type NetworkParameters = {
  readonly chainId: number;
  readonly timelockDelaySeconds: bigint;
  /** Proposes to the timelock until governance lands. */
  readonly proposer: Address;
  /** Genesis allocation of PHA, in its smallest unit. */
  readonly allocation: readonly { readonly holder: Address; readonly amount: bigint }[];
  /** Unix seconds of epoch 0. */
  readonly genesis: bigint;
  readonly epochLengthSeconds: number;
  readonly roundLengthSeconds: number;
  readonly maxAttestedBlockAge: number;
  readonly leaseDurationSeconds: number;
  /** P-256 key of the network's DEV root: only for networks that are simulated for ever. */
  readonly simulatedRoot: { readonly x: bigint; readonly y: bigint };
};

export type DeployedNetwork = {
  readonly timelock: Address;
  readonly phaToken: Address;
  readonly imageRegistry: Address;
  readonly unsafeSimulatedVerifier: Address;
  readonly workerRegistry: Address;
  readonly appRegistry: Address;
};

type Contract = { readonly name: string; readonly abi: Abi; readonly bytecode: Hex; readonly args: readonly unknown[] };

/**
 * Deploys what is not yet there, by CREATE2: the same parameters give the same addresses, and a second run deploys
 * nothing. Throws DEPLOY_NO_FACTORY, DEPLOY_FAILED.
 */
export async function deployNetwork(
  account: ChainAccount,
  rpc: string,
  parameters: NetworkParameters,
  onDeployed: (name: string, address: Address) => void = () => {},
): Promise<DeployedNetwork> {
  const put = (contract: Contract) => deployContract(account, rpc, contract, onDeployed);
  const { allocation, proposer, simulatedRoot } = parameters;
  const timelock = await put({
    name: 'TimelockController',
    abi: timelockControllerAbi,
    bytecode: timelockControllerBytecode,
    // Anyone may execute what is due; nobody administers the roles from outside.
    args: [
      parameters.timelockDelaySeconds,
      [proposer],
      ['0x0000000000000000000000000000000000000000'],
      '0x0000000000000000000000000000000000000000',
    ],
  });
  const phaToken = await put({
    name: 'PhaToken',
    abi: phaTokenAbi,
    bytecode: phaTokenBytecode,
    args: [allocation.map(({ holder }) => holder), allocation.map(({ amount }) => amount)],
  });
  const imageRegistry = await put({
    name: 'ImageRegistry',
    abi: imageRegistryAbi,
    bytecode: imageRegistryBytecode,
    args: [timelock],
  });
  const unsafeSimulatedVerifier = await put({
    name: 'UnsafeSimulatedVerifier',
    abi: unsafeSimulatedVerifierAbi,
    bytecode: unsafeSimulatedVerifierBytecode,
    args: [simulatedRoot.x, simulatedRoot.y, BigInt(parameters.chainId)],
  });
  const workerRegistry = await put({
    name: 'WorkerRegistry',
    abi: workerRegistryAbi,
    bytecode: workerRegistryBytecode,
    args: [
      {
        timelock,
        imageRegistry,
        genesis: parameters.genesis,
        epochLength: parameters.epochLengthSeconds,
        roundLength: parameters.roundLengthSeconds,
        maxAttestedBlockAge: parameters.maxAttestedBlockAge,
        simulatedAllowed: true,
        leaseDuration: parameters.leaseDurationSeconds,
      },
    ],
  });
  const appRegistry = await put({ name: 'AppRegistry', abi: appRegistryAbi, bytecode: appRegistryBytecode, args: [] });
  return { timelock, phaToken, imageRegistry, unsafeSimulatedVerifier, workerRegistry, appRegistry };
}

/** Deploys one contract by CREATE2 unless its code stands there already; answers its address. */
export async function deployContract(
  account: ChainAccount,
  rpc: string,
  contract: Contract,
  onDeployed: (name: string, address: Address) => void = () => {},
): Promise<Address> {
  const client = createPublicClient({ transport: http(rpc) });
  const initCode = encodeDeployData({
    abi: contract.abi,
    bytecode: contract.bytecode,
    args: contract.args,
  } as Parameters<typeof encodeDeployData>[0]);
  const salt = keccak256(stringToHex(`cloister/${contract.name}: v1`));
  const address = getContractAddress({
    opcode: 'CREATE2',
    from: create2Factory,
    salt,
    bytecode: initCode,
  }).toLowerCase() as Address;
  const isThere = async (at: Address) => ((await client.getCode({ address: at })) ?? '0x') !== '0x';
  if (await isThere(address)) return address;
  if (!(await isThere(create2Factory)))
    throw new DeployError('DEPLOY_NO_FACTORY', `No CREATE2 factory stands at "${create2Factory}" on this chain`);
  await account.send(create2Factory, concat([salt, initCode]), `Deployment of ${contract.name}`);
  if (!(await isThere(address)))
    throw new DeployError('DEPLOY_FAILED', `${contract.name} was not created at "${address}"`);
  onDeployed(contract.name, address);
  return address;
}

export class DeployError extends CloisterError<'DEPLOY_NO_FACTORY' | 'DEPLOY_FAILED'> {
  override readonly name = 'DeployError';
  constructor(code: 'DEPLOY_NO_FACTORY' | 'DEPLOY_FAILED', message: string) {
    super({ code, message });
  }
}
