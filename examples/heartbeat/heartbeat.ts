import type { FunctionContext, ScheduledEvent } from '@cloister/sdk';

type Context = FunctionContext<'state' | 'account'>;
type Env = { readonly RECEIVER: string };
/** What one run leaves behind. */
type Beat = { readonly id: string; readonly due: string; readonly attempts: number[]; readonly hash: string };

export default {
  /** Sends a wei, and writes down that it did: once for each time that is due, however often it is begun. */
  async scheduled(event: ScheduledEvent, env: Env, ctx: Context): Promise<void> {
    // With the run's own id: if this host is lost now, the next one sends the same transaction again and no second one.
    const { hash } = await ctx.chain.send({ to: env.RECEIVER, value: 1n, id: event.id });
    const due = new Date(event.scheduledTime).toISOString();
    await ctx.state.transaction(async (inside) => {
      const known: Beat | undefined = await inside.get(`beat/${due}`, 'json');
      const beat = { id: event.id, due, attempts: [...(known?.attempts ?? []), event.attempt], hash };
      inside.put(`beat/${due}`, JSON.stringify(beat));
    });
  },

  async fetch(request: Request, _env: Env, ctx: Context): Promise<Response> {
    if (new URL(request.url).pathname === '/account') return Response.json({ account: await ctx.chain.account() });
    const keys = await ctx.state.list('beat/');
    return Response.json(await Promise.all(keys.map((key) => ctx.state.get(key, 'json'))));
  },
};
