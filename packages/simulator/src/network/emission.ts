import { earningShare, epochEmission, payoutOf, splitEmission, valueAfterEpoch } from '@cloister/economics';
import type { Operator, World } from './world.ts';

const million = 1_000_000n;
/** Of a value that is carried on, what an epoch without work takes: Phala's 0.1 %. */
const idleDecayPpb = 1_000_000n;

/** What a step's epochs brought, in PHA's smallest unit. */
export type StepEmission = { readonly toWorkers: bigint; readonly byOperator: ReadonlyMap<Operator, bigint> };

/**
 * Mints the step's epochs. Each epoch's budget and its split are reckoned by themselves, as `Emission` does; the workers' part of all of
 * them is divided once, by what was measured over the step, each worker's payout rounded down and what is left never minted. With one
 * epoch a step that is `epochRewardsOf`, to the unit.
 * @param epoch the first one's number since the schedule began
 */
export function mintStep(world: World, epoch: number, hasRecordBefore: { value: boolean }): StepEmission {
  const { scenario, rules, books, random } = world;
  const { missedEpochsBps, voidedEpochsBps } = scenario.network;
  let [paid, voided, treasury, gatekeepers] = [0n, 0n, 0n, 0n];
  for (let index = 0; index < scenario.epochsPerStep; index += 1) {
    const isMissed = missedEpochsBps > 0 && random.chance(missedEpochsBps);
    const isVoided = voidedEpochsBps > 0 && random.chance(voidedEpochsBps);
    if (!isMissed) {
      const budget = epochEmission(BigInt(epoch + index), BigInt(scenario.epochSeconds), hasRecordBefore.value);
      const split = splitEmission(budget, rules.emission);
      treasury += split.treasury;
      gatekeepers += split.gatekeepers;
      if (isVoided) voided += split.workers;
      else paid += split.workers;
    }
    hasRecordBefore.value = !isMissed;
  }
  books.issue('treasury', treasury);
  books.issue('gatekeepers', gatekeepers);

  const earners = world.operators.flatMap((operator) => {
    const { pool, group, confidenceBps, availability } = operator;
    if (pool.running === 0) return [];
    const work = (operator.work * availability) / million;
    const value = rules.growthPpb === 0n ? {} : { value: operator.value };
    const machine = { work, workers: BigInt(group.workersPerMachine) };
    const share = earningShare({ bond: pool.bond, confidenceBps, ...value }, machine, rules.worth);
    return [{ operator, work, share, workers: BigInt(pool.running) }];
  });
  const sum = earners.reduce((before, { share, workers }) => before + share * workers, 0n);
  const byOperator = new Map<Operator, bigint>();
  let toWorkers = 0n;
  for (const { operator, work, share, workers } of earners) {
    const each = payoutOf(paid, share, sum);
    const burnt = payoutOf(voided, share, sum) * workers;
    books.issue('voided', burnt);
    books.burn('voided', burnt);
    const amount = each * workers;
    toWorkers += amount;
    byOperator.set(operator, amount);
    books.issue(operator.poolAccount, amount);
    books.move(operator.poolAccount, operator.account, operator.pool.earn(amount));
    if (rules.growthPpb > 0n)
      operator.value = valueAfterEpoch(
        { value: operator.value, work, expectedWork: operator.work, payout: each },
        {
          growthPpb: rules.growthPpb * BigInt(scenario.epochsPerStep),
          decayPpb: idleDecayPpb * BigInt(scenario.epochsPerStep),
          costPerEpoch: 0n,
          maximumValue: rules.worth.maximumValue,
        },
      );
  }
  return { toWorkers, byOperator };
}
