// A deterministic function: every worker that runs it gives the same bytes for the same request, at the same cost.

type Entry = { readonly name: string; readonly tickets: number };

const maxEntries = 1_000;

export default {
  /** Draws a winner. The request says which seed to use, so whoever holds the answer can have it computed again anywhere. */
  async fetch(request: Request): Promise<Response> {
    if (request.method !== 'POST') return new Response('POST {"seed","entries":[{"name","tickets"}]}', { status: 405 });
    const { seed, entries } = (await request.json()) as { readonly seed?: unknown; readonly entries?: unknown };
    if (typeof seed !== 'string' || !Array.isArray(entries) || !entries.every(isEntry) || entries.length > maxEntries)
      return Response.json({ error: `Send a seed and at most ${maxEntries} entries` }, { status: 400 });
    const total = entries.reduce((sum, { tickets }) => sum + tickets, 0);
    if (total === 0) return Response.json({ error: 'There are no tickets' }, { status: 400 });
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(JSON.stringify([seed, entries])));
    const drawn = Number(new DataView(digest).getBigUint64(0) % BigInt(total));
    return Response.json({ winner: ownerOf(drawn, entries), drawn, total });
  },
};

function isEntry(value: unknown): value is Entry {
  const { name, tickets } = (value ?? {}) as Partial<Record<keyof Entry, unknown>>;
  return typeof name === 'string' && Number.isInteger(tickets) && Number(tickets) >= 0 && Number(tickets) <= 1e6;
}

function ownerOf(drawn: number, entries: readonly Entry[]): string | undefined {
  let above = 0;
  for (const { name, tickets } of entries) {
    above += tickets;
    if (drawn < above) return name;
  }
  return undefined;
}
