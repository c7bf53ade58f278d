import fs from 'node:fs';
import path from 'node:path';
import type { Address, Hex } from '@cloister/core';
import type { RunningDevnet } from '../devnet.ts';

export type Account = { readonly address: Address; readonly privateKey: Hex };

export type Accounts = {
  /** Proposes to the timelock. */
  readonly deployer: Account;
  readonly developer: Account;
  /** Gets the gateway's part of fees. */
  readonly gateway: Account;
  /** Eight, all funded; the network's own workers use the first ones. */
  readonly operators: readonly Account[];
};

/** The accounts of a running network, from its data folder. */
export function accountsOf(network: Pick<RunningDevnet, 'data'>): Accounts {
  return JSON.parse(fs.readFileSync(path.join(network.data, 'accounts.json'), 'utf8')) as Accounts;
}

/** An operator that no worker of the network uses. Two scenarios at once never run, so each may take the same. */
export function spareOperator(network: Pick<RunningDevnet, 'data'>, index = 0): Account {
  const operator = accountsOf(network).operators[7 - index];
  if (operator === undefined) throw new Error(`There is no spare operator ${index}`);
  return operator;
}
