/** Numbers that follow from a seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The body of a function, made from a seed: it fills collections, sorts, prints numbers and dates, matches, throws, waits for
 * promises, and returns what it saw. Nothing in it is left open by ECMAScript, so every engine must give the same.
 */
export function generateBody(seed: number): string {
  const next = numbers(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)] as T;
  const whole = (below: number): number => Math.floor(next() * below);
  const number = (): string =>
    pick([
      () => `${whole(2000) - 1000}`,
      () => `${(next() - 0.5) * 10 ** (whole(40) - 20)}`,
      () =>
        pick([
          '0.1',
          '-0',
          '1e21',
          '1e-7',
          '5e-324',
          'NaN',
          'Infinity',
          '0x7fffffff',
          '2 ** 53',
          '123456789.123456789',
        ]),
    ])();
  const text = (): string =>
    JSON.stringify(
      Array.from({ length: whole(8) }, () =>
        pick(['a', 'b', 'Z', 'é', 'ß', '😀', '\ud800', '1', ' ', '-', '\u0130', '"']),
      ).join(''),
    );
  const list = (of: () => string): string => `[${Array.from({ length: 1 + whole(12) }, of).join(', ')}]`;
  const steps: readonly (() => string)[] = [
    () => `see([...new Map(${list(() => `[${pick([number, text])()}, ${number()}]`)}).entries()]);`,
    () => `see([...new Set(${list(pick([number, text]))})].map(String));`,
    () =>
      `{ const m = new Map(${list(() => `[${whole(9)}, 0]`)}); for (const k of m.keys()) { if (k % 3 === 1) m.delete(k); if (m.size < 20 && k < 50) m.set(k + 9, k); } see([...m]); }`,
    () => `see(${list(() => `{ k: ${whole(4)}, i: ${whole(1000)} }`)}.sort((x, y) => x.k - y.k));`,
    () =>
      `see(${list(number)}.sort().map(String)); see(${list(number)}.map((x) => [String(x), (x | 0).toString(${2 + whole(35)})]));`,
    () =>
      `see(${list(text)}.sort()); see(${text()}.localeCompare(${text()}) === 0, ${text()}.normalize('NFD'), ${text()}.toUpperCase());`,
    () =>
      `{ const x = ${number()}; see([x.toFixed(${whole(10)}), x.toPrecision(${1 + whole(20)}), x.toExponential(${whole(10)}), Math.round(x), Math.trunc(x), Math.fround(x), x | 0, x >>> 3, Math.sign(x)].map(String)); }`,
    () =>
      `{ const d = new Date(Date.UTC(${1900 + whole(300)}, ${whole(14)}, ${whole(40)}, ${whole(30)}, ${whole(70)})); see(d.toISOString(), d.getTime(), d.getUTCDay(), new Date(d.toISOString()).getTime(), JSON.stringify(d)); }`,
    () =>
      `see(JSON.parse(JSON.stringify({ a: ${number()}, b: ${text()}, c: ${list(number)}, ${text()}: [undefined, null], ${whole(99)}: 1 })));`,
    () =>
      `see(${text()}.split(/${pick(['a', '[aé]', '(b)?', '\\\\s*', '(?=Z)', '.'])}/u), ${text()}.replace(/(${pick(['a', '.', 'ß'])})+/${pick(['g', 'giu', 'u'])}, (m, p, at) => m.length + p + at), [...${text()}.matchAll(/[^a]/gu)].map((m) => m.index));`,
    () =>
      `try { ${pick(['null.x', 'undefined()', '[].reduce((x) => x)', `BigInt(${number()})`, `new Array(-1)`, `${text()}.repeat(-1)`, 'let q = q', 'JSON.parse("{")', 'Symbol() + ""', 'decodeURIComponent("%")', '({}).x.y', `(${number()}).toFixed(101)`])}; see('ok'); } catch (error) { see(error instanceof Error, error.name); }`,
    () =>
      `see(String(${whole(1e9)}n ** ${whole(40)}n % ${1 + whole(1e9)}n), String(BigInt.asIntN(${1 + whole(64)}, -${whole(1e9)}n << ${whole(60)}n)));`,
    () =>
      `{ const f = new Float64Array(${list(number)}); see([...new Uint8Array(f.buffer).slice(0, 0), ...f].map(String), [...new Int16Array([${number()}, ${number()}])], [...f.toSorted()].map(String)); }`,
    () =>
      `see(await Promise.allSettled(${list(() => pick([`Promise.resolve(${whole(9)})`, `Promise.reject(${text()})`, `(async () => { await null; return order.push(${whole(99)}); })()`]))}));`,
    () =>
      `queueMicrotask(() => order.push(${whole(99)})); Promise.resolve().then(() => order.push(${whole(99)})); await null; see([...order]);`,
    () =>
      `{ const o = { b: 1, ${whole(99)}: 2, a: 3, [Symbol('s')]: 4, ${whole(99)}: 5 }; delete o.b; o.b = 6; see(Object.keys(o), Object.entries(o)); }`,
    () =>
      `{ function* g(n) { try { for (let i = 0; i < n; i += 1) yield i * ${whole(9)}; } finally { order.push('end'); } } for (const x of g(9)) { if (x > ${whole(40)}) break; see(x); } }`,
    () =>
      `{ class A { #x = ${number()}; static s = ${whole(9)}; get x() { return String(this.#x); } } class B extends A { get x() { return 'B' + super.x + B.s; } } see(new B().x, B.name, String(new B())); }`,
  ];
  const count = 3 + whole(8);
  return `const out = []; const order = []; const see = (...values) => { out.push(...values); };
    ${Array.from({ length: count }, () => pick(steps)()).join('\n    ')}
    return out;`;
}
