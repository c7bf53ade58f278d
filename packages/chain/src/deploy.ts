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

/** The deterministic deployment proxy that stands at this address on most chains: salt ‖ init code in, CREATE2 out. */
export const create2Factory: Address = '0x4e59b44847b379578588920ca78fbf26c0b4956c';

/** A contract to deploy. Its name is part of its address. */
export type DeployableContract = {
  readonly name: string;
  readonly abi: Abi;
  readonly bytecode: Hex;
  readonly args: readonly unknown[];
};

/** Deploys one contract by CREATE2 unless its code stands there already; answers its address. */
export async function deployContract(
  account: ChainAccount,
  rpc: string,
  contract: DeployableContract,
  onDeployed: (name: string, address: Address) => void = () => {},
): Promise<Address> {
  const client = createPublicClient({ transport: http(rpc) });
  const initCode = encodeDeployData({
    abi: contract.abi,
    bytecode: contract.bytecode,
    args: contract.args,
  } as Parameters<typeof encodeDeployData>[0]);
  const salt = saltOf(contract.name);
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

/** The salt of a contract's address, by its name. */
export function saltOf(name: string): Hex {
  return keccak256(stringToHex(`cloister/${name}: v1`));
}

export class DeployError extends CloisterError<'DEPLOY_NO_FACTORY' | 'DEPLOY_FAILED'> {
  override readonly name = 'DeployError';
  constructor(code: 'DEPLOY_NO_FACTORY' | 'DEPLOY_FAILED', message: string) {
    super({ code, message });
  }
}
