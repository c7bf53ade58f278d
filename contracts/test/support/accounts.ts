import type { network } from 'hardhat';

export type Connection = Awaited<ReturnType<typeof network.create>>;

/** The first six accounts of the simulated chain, by their parts. */
export async function accountsOf({ viem }: Connection) {
  const [deployer, operator, otherOperator, owner, borrower, stranger] = await viem.getWalletClients();
  if (!deployer || !operator || !otherOperator || !owner || !borrower || !stranger)
    throw new Error('Expected six accounts');
  return { deployer, operator, otherOperator, owner, borrower, stranger };
}
