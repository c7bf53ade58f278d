import type { FunctionContext, FunctionTransaction } from '@cloister/sdk';

type Entry = { readonly id: string; readonly text: string };

const maxText = 1_000;
/** Entries that one answer has. */
const shown = 100;

/**
 * A visitors' book that every host of the app shares. POST /entries with JSON {id, text} adds an entry and answers its number; the same
 * id again changes nothing and answers the number that it has, so a visitor who lost the answer asks again. GET /entries answers the first
 * hundred, GET /count how many there are.
 */
export default {
  async fetch(request: Request, _env: unknown, { state }: FunctionContext<'state'>): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === 'POST' && pathname === '/entries') {
      const entry = readEntry(await request.text());
      if (entry === undefined)
        return refuse(422, `An entry is {"id","text"} with at most ${maxText} characters of text`);
      return Response.json({ number: await state.transaction((inside) => add(inside, entry)) });
    }
    if (pathname === '/count') return Response.json({ count: (await state.get('count', 'json')) ?? 0 });
    if (pathname !== '/entries') return refuse(404, 'The book has /entries and /count');
    const keys = await state.list('entry/', { limit: shown });
    return Response.json(await Promise.all(keys.map((key) => state.get(key, 'json'))));
  },
};

/** The entry's number: the next one, or the one that it has. */
async function add(inside: FunctionTransaction, entry: Entry): Promise<number> {
  const known = await inside.get(`id/${entry.id}`, 'text');
  if (known !== undefined) return Number(known);
  const number = Number((await inside.get('count', 'json')) ?? 0) + 1;
  inside.put('count', String(number));
  inside.put(`id/${entry.id}`, String(number));
  inside.put(`entry/${String(number).padStart(10, '0')}`, JSON.stringify({ number, text: entry.text }));
  return number;
}

function readEntry(body: string): Entry | undefined {
  try {
    const { id, text } = JSON.parse(body) as Partial<Record<string, unknown>>;
    if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) return undefined;
    return typeof text === 'string' && text.length <= maxText ? { id, text } : undefined;
  } catch {
    return undefined;
  }
}

function refuse(status: number, reason: string): Response {
  return Response.json({ refused: reason }, { status });
}
