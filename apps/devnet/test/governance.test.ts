import { ChainView, imageRegistryAbi, phaTokenAbi, setBondRuleCall, TimelockReader } from '@cloister/chain';
import type { Hex, NetworkFile } from '@cloister/core';
import { namedContracts, readCall } from '@cloister/sdk';
import { encodeFunctionData } from 'viem';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { chainId, startTown, type Town } from '../../../packages/chain-proof/test/town.ts';
import { governHere, isGoverned, settleGovernance } from '../src/governance.ts';

const id: Hex = `0x${'1c'.repeat(32)}`;
let town: Town;
let contracts: NetworkFile['contracts'];
beforeAll(async () => {
  town = await startTown();
  contracts = town.deployed as unknown as NetworkFile['contracts'];
}, 60_000);
afterAll(() => town.anvil.stop());

const view = () => new ChainView({ chainId, rpcs: [town.anvil.url] });
const allow = () => {
  const data = encodeFunctionData({ abi: imageRegistryAbi, functionName: 'allowConfig', args: [id] });
  return [
    { target: contracts.imageRegistry, data },
    setBondRuleCall(contracts.gatekeeperCommittee, town.deployed.depositBond, 5n),
  ];
};
const isAllowed = () =>
  view().read({ address: contracts.imageRegistry, abi: imageRegistryAbi, functionName: 'isConfigAllowed', args: [id] });
const settle = (handOver: boolean) => settleGovernance(town.account, town.anvil.url, contracts, handOver);
const govern = () => governHere(town.account, town.anvil.url, contracts, allow());

describe('the governance of a development network', () => {
  test('is the deployer’s beside the Governor’s, until it is handed over, for ever', async () => {
    const timelock = new TimelockReader(view(), contracts);
    expect(await settle(false)).toBe(false);
    expect(await timelock.hasRole('PROPOSER_ROLE', contracts.governor)).toBe(true);
    expect(await settle(false)).toBe(false);
    await govern();
    expect(await isAllowed()).toBe(true);

    expect(await settle(true)).toBe(true);
    expect(await isGoverned(town.anvil.url, contracts, town.account.address)).toBe(true);
    expect(await settle(false)).toBe(true);
    await governHere(town.account, town.anvil.url, contracts, []);
    const refusal = await govern().catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      code: 'DEVNET_GOVERNED',
      hint: expect.stringContaining(
        `--call 'imageRegistry.allowConfig(${id})' --call 'gatekeeperCommittee.setBondRule(depositBond, 5)'`,
      ),
    });
    // What it says to propose is what it needed.
    const named = await namedContracts({ contracts }, view());
    const said = [...(refusal as { hint: string }).hint.matchAll(/--call '([^']+)'/g)].map(([, text = '']) =>
      readCall(text, named),
    );
    expect(said).toEqual(allow().map((call) => ({ ...call, value: 0n })));
  });

  test('is not handed over while the treasury’s PHA votes somewhere', async () => {
    const other = await startTown();
    try {
      const there = other.deployed as unknown as NetworkFile['contracts'];
      const data = encodeFunctionData({ abi: phaTokenAbi, functionName: 'delegate', args: [other.account.address] });
      await governHere(other.account, other.anvil.url, there, [{ target: there.phaToken, data }]);
      await expect(settleGovernance(other.account, other.anvil.url, there, true)).rejects.toMatchObject({
        code: 'DEVNET_NOT_HANDED_OVER',
      });
      expect(await isGoverned(other.anvil.url, there, other.account.address)).toBe(false);
    } finally {
      await other.anvil.stop();
    }
  });
});
