import { appRegistryAbi, appTimelockAbi, appTimelockFactoryAbi, appTimelockFactoryAddress } from '@cloister/chain';
import type { Address, Bytes32, Hex } from '@cloister/core';
import { decodeFunctionResult, encodeFunctionData } from 'viem';
import { dispatch, revert } from './stubDispatch.ts';
import type { StubCall } from './stubRpc.ts';

export type StubTimelock = {
  owner: Address;
  delay: number;
  vetoers: Address[];
  /** By their number, from 1. */
  announced: { state: number; toRegistry: boolean; readyAt: bigint; data: Hex }[];
};

/** Timelocks of apps and their factory in memory, with the rules that their reader and deployments rely on. */
export class StubTimelocks {
  /** Undefined: nobody has put the factory on this chain. */
  created: Map<Address, StubTimelock> | undefined;
  readonly #registry: Address;

  constructor(registry: Address) {
    this.#registry = registry;
  }

  /** What a timelock or the factory answers; undefined where the call is to neither. `reach`: what the call's own calls answer. */
  answer(call: StubCall, reach: (call: StubCall) => Hex): Hex | undefined {
    if (this.created === undefined) return undefined;
    if (call.to === appTimelockFactoryAddress)
      return dispatch(appTimelockFactoryAbi, call, { isTimelock: (account: Address) => this.created?.has(account) });
    const timelock = this.created.get(call.to);
    if (timelock === undefined) return undefined;
    const byOwner = () => {
      if (call.from !== timelock.owner)
        throw revert({ errorName: 'AppTimelockCallerNotOwner', args: [call.from, timelock.owner] });
    };
    const open = () => timelock.announced.flatMap(({ state }, index) => (state <= 3 ? [index + 1] : []));
    return dispatch(appTimelockAbi, call, {
      owner: () => timelock.owner,
      delay: () => timelock.delay,
      vetoers: () => timelock.vetoers,
      openNumbers: open,
      announcementOf: (number: number) => timelock.announced[number - 1],
      announce: (toRegistry: boolean, data: Hex) => {
        byOwner();
        const announcement = { state: 1, toRegistry, readyAt: call.block.timestamp + BigInt(timelock.delay), data };
        if (call.commits) timelock.announced.push(announcement);
        return timelock.announced.length;
      },
      create: (salt: Bytes32, id: Bytes32, fields: never, images: readonly Bytes32[]) => {
        byOwner();
        const made = { abi: appRegistryAbi, functionName: 'create', args: [salt, id, fields] } as const;
        const onRegistry = (data: Hex) => reach({ ...call, from: call.to, to: this.#registry, data });
        const result = onRegistry(encodeFunctionData(made));
        const app = decodeFunctionResult({ abi: appRegistryAbi, functionName: 'create', data: result });
        for (const image of call.commits ? images : [])
          onRegistry(encodeFunctionData({ abi: appRegistryAbi, functionName: 'pinImage', args: [app, image] }));
        return app;
      },
    });
  }
}
