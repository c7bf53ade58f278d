import { type Measure, measures, type Row } from '../measure.ts';

/** One picture: a few measures on one axis. */
export type Chart = {
  readonly id: string;
  readonly title: string;
  readonly lines: readonly Measure[];
  /** Whether the axis counts powers of ten. */
  readonly logarithmic: boolean;
};

export const charts: readonly Chart[] = [
  { id: 'supply', title: 'PHA: issued, staked, in bonds', lines: ['supply', 'staked', 'bonded'], logarithmic: false },
  { id: 'staking-ratio', title: 'Staked and leaving of the supply, %', lines: ['stakingRatio'], logarithmic: false },
  {
    id: 'workers',
    title: 'Workers that run, and that emission alone can pay',
    lines: ['workers', 'carried'],
    logarithmic: false,
  },
  {
    id: 'income',
    title: 'A worker’s day, dollars',
    lines: ['emissionIncome', 'feeIncome', 'take', 'cost'],
    logarithmic: true,
  },
  {
    id: 'break-even',
    title: 'Price of a PHA, and where emission alone pays a worker, dollars',
    lines: ['price', 'breakEvenPrice'],
    logarithmic: true,
  },
  { id: 'yield', title: 'Stakers’ yield, % a year', lines: ['stakerYield'], logarithmic: true },
  { id: 'concentration', title: 'Bonds of the largest owner, %', lines: ['topOwner'], logarithmic: false },
  {
    id: 'attack',
    title: 'One cheat: its gain, and the weakest operator’s loss, dollars',
    lines: ['gain', 'ownLoss', 'bondWorth'],
    logarithmic: true,
  },
];

/** A chart's values, thinned to at most `points`: of neighbours the last one. */
export function pointsOf(
  rows: readonly Row[],
  line: Measure,
  points: number,
): { readonly x: number; readonly y: number }[] {
  const every = Math.max(1, Math.ceil(rows.length / points));
  return rows
    .filter((_, index) => index % every === every - 1 || index === rows.length - 1)
    .map((row) => ({ x: row.day, y: row[line] }));
}

const labels: Partial<Record<Measure, string>> = {
  supply: 'issued',
  staked: 'staked',
  bonded: 'in bonds',
  stakingRatio: 'staked',
  workers: 'running',
  carried: 'emission can pay',
  emissionIncome: 'emission',
  feeIncome: 'fees',
  take: 'the operator’s own',
  cost: 'cost',
  price: 'price',
  breakEvenPrice: 'emission breaks even',
  stakerYield: 'yield',
  topOwner: 'largest owner',
  gain: 'gain',
  ownLoss: 'operator’s loss',
  bondWorth: 'bond',
};

/** What a line is, in a word or two. */
export function labelOf(line: Measure): string {
  return labels[line] ?? measures[line].split(',')[0] ?? line;
}
