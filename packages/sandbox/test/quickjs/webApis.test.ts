import { describe, expect, test } from 'vitest';
import { inNode, jsonOf, returning, runCases } from './cases.ts';
import { urlSnippets } from './urlCorpus.ts';

/** Bodies of functions that must give in QuickJS what they give in Node.js. */
const snippets: Readonly<Record<string, string>> = {
  ...urlSnippets,
  'search parameters': `
    const out = [];
    for (const init of ['?a=1&b=2&a=3', 'a=%41+b%2', '', '&&a&=x&==', 'ü=ä&%F0%9F%98%80=%ff', [['x','y'],['x','z']], {q: 'ü &=+', r: '\\ud800'}]) {
      const p = new URLSearchParams(init);
      out.push([p.toString(), p.size, [...p], p.get('a'), p.getAll('a'), p.has('a'), p.has('a', '3'), [...p.keys()], [...p.values()]]);
      p.append('n', 1); p.set('a', 'new'); p.delete('b'); p.delete('x', 'y'); p.sort();
      out.push(p.toString());
    }
    for (const bad of [[['x']], [1], null]) { try { out.push(new URLSearchParams(bad).toString()); } catch (error) { out.push(error.name); } }
    return out;`,
  'search parameters of a URL': `
    const url = new URL('https://h/?a=1#f'); const p = url.searchParams;
    p.append('b', 'ü x'); const one = url.href; url.search = '?c=3'; const two = [...p]; p.delete('c');
    url.hash = ''; return [one, two, url.href, url.searchParams === p];`,
  headers: `
    const out = [];
    const h = new Headers([['B', ' 2 '], ['a', '1'], ['A', '3'], ['Set-Cookie', 'x'], ['set-cookie', 'y']]);
    out.push([...h], h.get('a'), h.get('none'), h.has('b'), h.getSetCookie(), [...h.keys()], [...h.values()]);
    h.set('a', 'only'); h.append('c', 'z'); h.delete('B'); out.push([...h]);
    h.forEach((value, name) => out.push(name + value));
    for (const make of [() => h.set('a b', 'x'), () => h.set('a', 'x\\ny'), () => h.append('a', 'ü€'), () => new Headers([['a']]), () => new Headers(5), () => new Headers({ ok: 'ü' })])
      { try { make(); out.push('ok'); } catch (error) { out.push(error.name); } }
    return [out, Object.fromEntries(new Headers({ X: 'y' })), [...new Headers(h)]];`,
  'text encoder and decoder': `
    const out = [];
    const e = new TextEncoder(), texts = ['', 'ascii', 'Grüße', '😀a', '\\ud800x\\udc00', '\\u0000\\ufeff', '\\ufeffbom'];
    for (const t of texts) { const b = e.encode(t); out.push([...b], new TextDecoder().decode(b), new TextDecoder('utf-8', { ignoreBOM: true }).decode(b)); }
    const bad = [[0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xc0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0x61, 0x80, 0x62], [0xf4, 0x90, 0x80, 0x80], [0xe0, 0x80, 0x80]];
    for (const b of bad) { out.push(new TextDecoder().decode(new Uint8Array(b))); try { new TextDecoder('utf8', { fatal: true }).decode(new Uint8Array(b)); out.push('ok'); } catch (error) { out.push(error.name); } }
    const all = e.encode('a😀ü€\\ufeff.');
    for (let cut = 0; cut <= all.length; cut += 1) { const d = new TextDecoder(); out.push(d.decode(all.subarray(0, cut), { stream: true }), d.decode(all.subarray(cut))); }
    for (const b of bad) { const d = new TextDecoder(); out.push(d.decode(new Uint8Array(b), { stream: true }), d.decode(new Uint8Array([0x80, 0x41]), { stream: true }), d.decode()); }
    const into = new Uint8Array(5); out.push(e.encodeInto('aü€x', into), [...into]);
    for (const make of [() => new TextDecoder('nonsense'), () => new TextDecoder().decode('text')]) { try { make(); out.push('ok'); } catch (error) { out.push(error.name); } }
    return [out, new TextDecoder().encoding, new TextDecoder('UTF8').fatal, new TextDecoder().decode(new DataView(new ArrayBuffer(2)))];`,
  base64: `
    const out = [];
    for (const t of ['', 'a', 'ab', 'abc', '\\xff\\x00']) out.push(btoa(t), atob(btoa(t)) === t);
    for (const t of ['YQ', ' Y Q = = ', 'YQ=', 'Y', '*', 'YR==']) { try { out.push(atob(t)); } catch (error) { out.push(error.name); } }
    try { btoa('€'); } catch (error) { out.push(error.name); }
    return out;`,
  'structured clone': `
    const out = [];
    const shared = { s: 1 };
    const value = { d: new Date(5), r: /a+/gi, m: new Map([[{ k: 1 }, shared]]), set: new Set([1, shared]), u: new Uint16Array([1, 2, 3]).subarray(1), b: new ArrayBuffer(3), n: null, big: 5n.toString(), a: [1, , 3], e: new TypeError('t', { cause: shared }), w: Object(true) };
    value.self = value;
    const c = structuredClone(value);
    out.push(c !== value, c.self === c, c.d instanceof Date, c.d.getTime(), String(c.r), [...c.m.keys()][0].k, [...c.m.values()][0] === [...c.set][1], [...c.u], c.u.byteOffset, c.b.byteLength, 1 in c.a, c.a.length, c.e.name, c.e.message, c.e instanceof TypeError, typeof c.w, c.w.valueOf());
    for (const make of [() => structuredClone(() => 1), () => structuredClone(Symbol('x')), () => structuredClone({ f() {} }), () => structuredClone(new WeakMap()), () => structuredClone(Promise.resolve()), () => structuredClone(1, { transfer: [{}] })])
      { try { make(); out.push('ok'); } catch (error) { out.push(error.name); } }
    const moved = new Uint8Array([7, 8]); const got = structuredClone({ moved }, { transfer: [moved.buffer] });
    class C { constructor() { this.own = 1; } get g() { return 2; } }
    return [out, moved.byteLength, [...got.moved], structuredClone(new C()), Object.getPrototypeOf(structuredClone(new C())) === Object.prototype, Object.keys(structuredClone({ ['__proto__']: 1 }))];`,
  'request and response': `
    const out = [];
    const r = new Request('https://h/p?q#f', { method: 'post', headers: { a: '1' }, body: 'Grüße' });
    out.push(r.method, r.url, [...r.headers], r.bodyUsed, await r.clone().text(), await r.text(), r.bodyUsed);
    for (const read of [() => r.text(), () => r.arrayBuffer(), async () => new Request(r), async () => r.clone()]) { try { await read(); out.push('ok'); } catch (error) { out.push(error.name); } }
    for (const make of [() => new Request('no url'), () => new Request('https://u:p@h/'), () => new Request('https://h', { body: 'x' }), () => new Request('https://h', { method: 'TRACE' }), () => new Request('https://h', { method: 'a b' }), () => new Response('x', { status: 204 }), () => new Response('x', { status: 199 }), () => new Response(null, { status: 600 }), () => Response.json(undefined), () => Response.redirect('https://h', 200), () => Response.redirect('nonsense')])
      { try { make(); out.push('ok'); } catch (error) { out.push(error.name); } }
    for (const m of ['patch', 'get', 'Delete', 'x-Own']) out.push(new Request('https://h', { method: m }).method);
    for (const body of ['t', new Uint8Array([65, 66]), new Uint8Array([65, 66, 67]).buffer, new URLSearchParams('a=b c'), null, undefined, 5]) {
      const s = new Response(body); out.push([...s.headers], s.status, s.ok, s.statusText, await s.text());
    }
    const j = Response.json({ a: [1] }, { status: 201, headers: { x: 'y' } });
    out.push(j.status, [...j.headers], await j.json(), [...(await new Response('abc').bytes())]);
    const d = Response.redirect('https://h/x', 307); out.push(d.status, d.headers.get('location'));
    try { await new Response('{').json(); } catch (error) { out.push(error.name); }
    return out;`,
  digests: `
    const out = [];
    for (const name of ['SHA-1', 'sha-256', { name: 'SHA-384' }, 'SHA-512'])
      for (const size of [0, 1, 63, 64, 65, 1000]) out.push([...new Uint8Array(await crypto.subtle.digest(name, new Uint8Array(size).fill(7)))].join());
    for (const bad of ['MD5', 'SHA-257']) { try { await crypto.subtle.digest(bad, new Uint8Array()); } catch (error) { out.push(error.name); } }
    return out;`,
};

describe('what deterministic functions find around them does what it does in Node.js', async () => {
  const names = Object.keys(snippets);
  const results = await runCases(
    names.map((name) => ({ source: returning(snippets[name] ?? ''), fuel: 50_000_000_000 })),
  );
  test.each(names.map((name, index) => [name, index] as const))('%s', async (name, index) => {
    const expected = JSON.parse(JSON.stringify(await inNode(snippets[name] ?? '')));
    expect(jsonOf(results[index] as (typeof results)[number])).toEqual(expected);
  });
});
