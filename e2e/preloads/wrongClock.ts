// Loaded before a program (`--import FILE?seconds=N`): its clock of the day is N seconds ahead, or behind where N is below zero. What only
// goes forward, performance.now() and timers, is as it was. Neither the program nor its measurement knows of it.
const seconds = Number(new URL(import.meta.url).searchParams.get('seconds'));
if (!Number.isInteger(seconds) || seconds === 0) throw new Error('Expected wrongClock.ts?seconds=N, N not 0');
const shiftMs = seconds * 1_000;
const RealDate = Date;
const now = () => RealDate.now() + shiftMs;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: () => new Date(now()).toString(),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key, target)),
});
const { timeOrigin } = performance;
Object.defineProperty(performance, 'timeOrigin', { get: () => timeOrigin + shiftMs, configurable: true });
