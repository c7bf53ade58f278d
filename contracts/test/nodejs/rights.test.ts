import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { network } from 'hardhat';
import { type AbiParameter, type Address, encodeFunctionData } from 'viem';
import { rightsFiles, rightsOf } from '../../scripts/rightsFiles.ts';
import { type Caller, type Right, writesOf } from '../../scripts/rightsTable.ts';
import { refusalOf, refused } from '../support/refused.ts';
import { type Deployed, deployRightsWorld } from '../support/rightsWorld.ts';

const connection = await network.create();
const { networkHelpers } = connection;
const client = await connection.viem.getPublicClient();

async function world() {
  const deployed = await deployRightsWorld(connection);
  return { ...deployed, rights: await rightsOf(deployed.governing) };
}
const load = () => networkHelpers.loadFixture(world);

/** Checks that a call meets only after much else holds, by their errors, and the tests that get there. */
const elsewhere: Readonly<Record<string, string>> = {
  CreditLineForeignFile: 'creditLine',
  ERC20InvalidReceiver: 'phaToken',
  GovernorRestrictedProposer: 'governor.proposals',
  PlatformAssuranceAuditedByOther: 'platformAssurance',
  PoolVotesNotEntitled: 'governor.votes',
  PoolVotesTreasury: 'governor.proposals',
};

/** Zero or nothing of a type. */
function emptyOf(parameter: AbiParameter): unknown {
  const { type } = parameter;
  if (type.endsWith(']')) return [];
  if (type === 'tuple') {
    const { components } = parameter as AbiParameter & { components: readonly AbiParameter[] };
    return Object.fromEntries(components.map((part) => [part.name, emptyOf(part)]));
  }
  if (type === 'bool') return false;
  if (type === 'string') return '';
  if (type === 'bytes') return '0x';
  if (type === 'address') return `0x${'0'.repeat(40)}`;
  if (type.startsWith('bytes')) return `0x${'0'.repeat(2 * Number(type.slice(5)))}`;
  return 0n;
}

describe('who may call what', () => {
  it('the committed list is the contracts’: if the change is meant, run "npm run rights -- --write" in contracts/', async () => {
    const { rights } = await load();
    for (const [path, text] of await rightsFiles(rights)) assert.equal(await readFile(path, 'utf8'), text, path);
  });

  it('every comparison of the caller in the sources is in the list', async () => {
    const { rights } = await load();
    const known = rights.flatMap(({ callers }) => callers.map(({ refuses }) => refuses));
    const source = new URL('../../src/', import.meta.url);
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.sol'));
    const comparison = /[\w.]+ [!=]= msg\.sender\b|\bmsg\.sender [!=]= [\w.]+(?:\(this\))?|\[msg\.sender\]\) revert/g;
    const found = files.flatMap((name) => {
      const text = readFileSync(new URL(name, source), 'utf8').replaceAll(/\/\/.*$/gm, '');
      return (text.match(comparison) ?? []).map((match) => match.replace(') revert', ''));
    });
    assert.ok(found.length >= 25, `${found.length} comparisons`);
    // What an account does to itself is no right of anybody.
    const own = ['msg.sender == pool', 'from != msg.sender', 'voter == msg.sender', 'limitOf[msg.sender]'];
    assert.deepEqual(
      found.filter((text) => !own.includes(text) && !known.some((condition) => condition.includes(text))),
      [],
    );
  });

  it('it has every contract’s every function that writes, and each is tried below or named in a test of its own', async () => {
    const { rights, contracts } = await load();
    for (const [name, { abi }] of Object.entries(contracts))
      assert.equal(rights.filter(({ contract }) => contract === name).length, writesOf(abi).length, name);
    const held = rights.filter(({ callers }) => callers.some(({ error }) => elsewhere[error] === undefined));
    assert.deepEqual(
      held.filter(({ contract }) => contracts[contract] === undefined).map(({ contract }) => contract),
      [],
    );
    for (const [error, test] of Object.entries(elsewhere)) {
      assert.ok(
        rights.some(({ callers }) => callers.some((caller) => caller.error === error)),
        error,
      );
      assert.match(await readFile(new URL(`${test}.test.ts`, import.meta.url), 'utf8'), new RegExp(`'${error}'`));
    }
  });

  it('everybody else is refused, by name', async () => {
    const { rights, contracts, args, strangers, timelocks } = await load();
    let tried = 0;
    for (const right of rights)
      for (const { error } of right.callers) {
        if (elsewhere[error] !== undefined) continue;
        for (const caller of strangers) {
          if (isItself(error, caller, contracts)) continue;
          const values = error === 'GovernedCallerNotTimelock' ? [caller, timelocks[right.contract]] : undefined;
          await refused(call(right, contracts, args, caller), error, values);
          tried += 1;
        }
      }
    assert.ok(tried > 400, `${tried} calls`);
  });

  it('the timelock is not', async () => {
    const { rights, contracts, args, timelocks } = await load();
    let tried = 0;
    for (const right of rights)
      for (const { error } of right.callers.filter(isTheTimelocks)) {
        const timelock = timelocks[right.contract];
        assert(timelock !== undefined, right.contract);
        assert.notEqual(await refusalOf(call(right, contracts, args, timelock)), error, right.function);
        tried += 1;
      }
    assert.ok(tried > 40, `${tried} calls`);
  });
});

/** Of the Governor's own only by its proposals, which governor.proposals.test.ts shows. */
function isTheTimelocks({ error, who }: Caller): boolean {
  return /\bthe timelock\b/.test(who) && !['GovernorOnlyExecutor', 'PoolVotesTreasury'].includes(error);
}

/** Whether a contract among the strangers is the one that the check is for. */
function isItself(error: string, caller: Address, { Slashing, Emission }: Readonly<Record<string, Deployed>>): boolean {
  return (
    (error === 'WorkerBondsCallerNotSlashing' && caller === Slashing?.address) ||
    (error === 'EmittedPhaCallerNotEmission' && caller === Emission?.address)
  );
}

async function call(
  right: Right,
  contracts: Readonly<Record<string, Deployed>>,
  prepared: ReadonlyMap<string, readonly unknown[]>,
  from: Address,
) {
  const contract = contracts[right.contract];
  const item =
    contract && writesOf(contract.abi).find(({ name, inputs }) => right.function === signatureOf(name, inputs));
  assert(contract && item, `${right.contract}.${right.function}`);
  const args = prepared.get(`${right.contract}.${item.name}`) ?? item.inputs.map(emptyOf);
  const data = encodeFunctionData({ abi: [item], functionName: item.name, args });
  return client.call({ account: from, to: contract.address, data });
}

function signatureOf(name: string, inputs: readonly AbiParameter[]): string {
  const typeOf = (parameter: AbiParameter): string => {
    if (!parameter.type.startsWith('tuple')) return parameter.type;
    const { components } = parameter as AbiParameter & { components: readonly AbiParameter[] };
    return `(${components.map(typeOf).join(',')})${parameter.type.slice('tuple'.length)}`;
  };
  return `${name}(${inputs.map(typeOf).join(',')})`;
}
