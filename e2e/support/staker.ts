import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Address } from '@cloister/core';
import type { PoolStatus, SlashCase, StakePosition, UnstakeRequest } from '@cloister/sdk';
import type { RunningDevnet } from '../devnet.ts';
import type { Account } from './accounts.ts';
import { cloisterJson } from './programs.ts';

/** What a JSON line has in place of bigints. */
export type Plain<T> = T extends bigint ? string : T extends object ? { readonly [K in keyof T]: Plain<T[K]> } : T;

export type ShownPool = Plain<PoolStatus> & {
  readonly yours: Plain<StakePosition> & { readonly leaving: readonly Plain<UnstakeRequest>[] };
};
export type ShownSlash = Plain<SlashCase>;
export type Refused = { readonly ok: false; readonly error: { readonly code: string; readonly message: string } };

/** Somebody who stakes by the `cloister` command, with a key of their own. */
export class Staker {
  readonly address: Address;
  readonly #network: RunningDevnet;
  readonly #folder: string;
  readonly #keyFile: string;
  readonly #signal: AbortSignal;

  constructor(network: RunningDevnet, account: Account, folder: string, signal: AbortSignal) {
    this.address = account.address.toLowerCase() as Address;
    this.#network = network;
    this.#folder = folder;
    this.#signal = signal;
    this.#keyFile = path.join(folder, `${account.address}.key`);
    fs.writeFileSync(this.#keyFile, `${account.privateKey}\n`, { mode: 0o600 });
  }

  /** Runs a command that must succeed. */
  async run<T>(...argv: readonly string[]): Promise<T> {
    const { code, json } = await this.try<T>(...argv);
    assert.equal(code, 0, `cloister ${argv.join(' ')}: ${JSON.stringify(json)}`);
    return json;
  }

  /** Runs a command that the chain must refuse; answers the refusal's message. */
  async refused(...argv: readonly string[]): Promise<string> {
    const { code, json } = await this.try<Refused>(...argv);
    assert.equal(code, 1, `cloister ${argv.join(' ')} went through`);
    return json.error.message;
  }

  try<T>(...argv: readonly string[]): Promise<{ readonly code: number; readonly json: T }> {
    const args = [...argv, '--network', this.#network.file, '--key', this.#keyFile];
    return cloisterJson<T>(args, this.#folder, this.#signal);
  }

  pool(operator: Address): Promise<ShownPool> {
    return this.run('pool', 'show', operator);
  }
}
