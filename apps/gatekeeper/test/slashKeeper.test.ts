import { TransactionError } from '@cloister/chain';
import type { Address, Bytes32 } from '@cloister/core';
import { type Equivocation, NoEquivocationError } from '@cloister/sdk';
import { silentLogger } from '@cloister/service';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CommitteeState } from '../src/committeeState.ts';
import type { TwoRecords } from '../src/slashing/recordWatch.ts';
import { SlashKeeper } from '../src/slashing/slashKeeper.ts';
import { StubSlashes, vetoSeconds } from './stubSlashes.ts';

const address = (byte: number): Address => `0x${byte.toString(16).padStart(2, '0').repeat(20)}`;
const caseId = (last: number): Bytes32 => `0x${last.toString(16).padStart(64, '0')}`;
const signal = new AbortController().signal;
const members = [1, 2, 3].map(address);
const state = () =>
  ({ generation: { members: members.map((operator) => ({ operator })) } }) as unknown as CommitteeState;
const equivocationBy = (signer: Address) => ({ signer }) as Equivocation;
const inTheWay = new TransactionError('TRANSACTION_FAILED', 'the RPC is away', {});

let chain: StubSlashes;
let keepers: SlashKeeper[];
beforeEach(() => {
  chain = new StubSlashes();
  keepers = members.map((operator) => new SlashKeeper({ chain, operator, state, log: silentLogger }));
});
const [one, other] = [0, 1].map((index) => () => keepers[index] as SlashKeeper) as [
  () => SlashKeeper,
  () => SlashKeeper,
];
const turn = async (seconds = 10n, who: readonly SlashKeeper[] = keepers) => {
  for (const keeper of who) await keeper.tick(signal);
  chain.now += seconds;
};

describe('what a member has found', () => {
  test('it shows the chain at once, whoever’s turn it is, once', async () => {
    one().found(equivocationBy(address(9)));
    one().found(equivocationBy(address(9)));
    other().found(equivocationBy(address(8)));
    for (let count = 0; count < 20; count += 1) await turn();
    expect(chain.reported.map(({ signer }) => signer).sort()).toEqual([address(8), address(9)]);
  });

  test('of a gatekeeper’s records it shows likewise, beside a worker’s receipts', async () => {
    const proof = { signer: address(9) } as TwoRecords;
    one().foundRecords(proof);
    one().foundRecords(proof);
    one().found(equivocationBy(address(9)));
    for (let count = 0; count < 9; count += 1) await turn();
    expect([chain.records, chain.reported.length]).toEqual([[proof], 1]);
  });

  test('it shows again a minute later where that failed', async () => {
    one().found(equivocationBy(address(9)));
    for (const refusal of [inTheWay, new NoEquivocationError('EQUIVOCATION_NOTHING_AT_STAKE', 'no bond')]) {
      chain.refuses = refusal;
      chain.tries = 0;
      for (let count = 0; count < 12; count += 1) await turn();
      expect(chain.tries).toBe(2);
    }
    chain.refuses = undefined;
    for (let count = 0; count < 6; count += 1) await turn();
    expect(chain.reported).toHaveLength(1);
  });

  test('it leaves where others were faster, or the chain knows no such signer', async () => {
    one().found(equivocationBy(address(9)));
    other().found(equivocationBy(address(9)));
    await turn();
    expect([chain.tries, chain.reported.length]).toEqual([2, 1]);
    chain.refuses = new NoEquivocationError('EQUIVOCATION_SIGNER_UNKNOWN', 'no worker');
    one().found(equivocationBy(address(7)));
    await turn();
    const { tries } = chain;
    for (let count = 0; count < 9; count += 1) await turn();
    // The first case lasts no longer than its window; none of them is reported again.
    expect(chain.tries - tries).toBeLessThanOrEqual(1);
    expect(chain.reported).toHaveLength(1);
  });

  test('is bounded, and one that is refused keeps none of the others waiting', async () => {
    chain.refuses = inTheWay;
    for (let byte = 1; byte <= 80; byte += 1) one().found(equivocationBy(address(byte)));
    await turn();
    expect(chain.tries).toBe(64);
  });
});

describe('a case', () => {
  const due = (last: number) => ({ caseId: caseId(last), settleFrom: chain.now + vetoSeconds });

  test('is settled when its time for a veto is over, by the member whose turn it is, once', async () => {
    chain.cases.push(due(4));
    for (let count = 0; count < 10; count += 1) await turn();
    expect(chain.tries).toBe(0);
    // Of three members the second begins: 4 mod 3 is 1.
    await turn(0n, [keepers[0], keepers[2]] as SlashKeeper[]);
    expect(chain.settled).toEqual([]);
    for (let count = 0; count < 10; count += 1) await turn();
    expect([chain.settled, chain.tries]).toEqual([[caseId(4)], 1]);
  });

  test('is settled by the next member where one is away, a minute later', async () => {
    chain.cases.push(due(4));
    chain.now += vetoSeconds;
    const others = [keepers[0], keepers[2]] as SlashKeeper[];
    for (let count = 0; count < 6; count += 1) await turn(10n, others);
    expect(chain.settled).toEqual([]);
    await turn(10n, others);
    expect(chain.settled).toEqual([caseId(4)]);
  });

  test('that can not be settled is tried once a turn, and keeps none of the others waiting', async () => {
    chain.cases.push(due(4), due(7));
    chain.stuck.add(caseId(4));
    chain.now += vetoSeconds;
    for (let count = 0; count < 18; count += 1) await turn();
    expect(chain.settled).toEqual([caseId(7)]);
    expect(chain.tries).toBe(3 + 1);
  });

  test('that was settled in a block which may yet be taken back is looked at again', async () => {
    chain.cases.push(due(4));
    chain.isFinal = false;
    chain.now += vetoSeconds;
    for (let count = 0; count < 12; count += 1) await turn();
    expect([chain.settled, chain.tries]).toEqual([[caseId(4)], 2]);
    chain.isFinal = true;
    for (let count = 0; count < 12; count += 1) await turn();
    expect(chain.tries).toBe(2);
  });

  test('is settled by a member that has started anew', async () => {
    chain.cases.push(due(4));
    await turn(vetoSeconds);
    const [, operator] = members as [Address, Address];
    await turn(10n, [new SlashKeeper({ chain, operator, state, log: silentLogger })]);
    expect(chain.settled).toEqual([caseId(4)]);
  });
});
