/** A scale from values to 0–1, and values to write beside it. */
export type Axis = { readonly place: (value: number) => number; readonly ticks: readonly number[] };

/** An axis that holds all values. A logarithmic one spans at most five powers of ten; what is below stands at its foot. */
export function axisOf(values: readonly number[], logarithmic: boolean): Axis {
  const top = values.reduce((most, value) => Math.max(most, value), 0);
  if (!logarithmic) {
    const step = niceStep(top === 0 ? 1 : top);
    const end = Math.ceil((top === 0 ? 1 : top) / step - 1e-9) * step;
    const count = Math.round(end / step);
    return {
      place: (value) => clamp(value / end),
      ticks: Array.from({ length: count + 1 }, (_, index) => step * index),
    };
  }
  const positive = values.filter((value) => value > 0);
  const most = powerAbove(positive.length === 0 ? 1 : top);
  const least = Math.max(powerBelow(positive.reduce((low, value) => Math.min(low, value), top || 1)), most - 5);
  const span = Math.max(1, most - least);
  return {
    place: (value) => (value <= 0 ? 0 : clamp((Math.log10(value) - least) / span)),
    ticks: Array.from({ length: span + 1 }, (_, index) => Number(`1e${least + index}`)),
  };
}

/** A number for people: 1.2 k, 3.4 M. */
export function shortNumber(value: number): string {
  const [unit, factor] = value >= 1e9 ? ['G', 1e9] : value >= 1e6 ? ['M', 1e6] : value >= 1e4 ? ['k', 1e3] : ['', 1];
  const scaled = value / Number(factor);
  const text =
    scaled >= 100 || Number.isInteger(scaled)
      ? Math.round(scaled).toString()
      : Number(scaled.toPrecision(3)).toString();
  return unit === '' ? text : `${text} ${unit}`;
}

function niceStep(top: number): number {
  const rough = top / 4;
  const power = Number(`1e${powerBelow(rough)}`);
  const digit = rough / power;
  return (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1) * power;
}

function powerBelow(value: number): number {
  return Math.floor(Math.log10(value) + 1e-9);
}

function powerAbove(value: number): number {
  return Math.ceil(Math.log10(value) - 1e-9);
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value));
}
