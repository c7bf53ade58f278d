import type { FunctionContext } from '@cloister/sdk';

/** The constants and secrets that cloister.json names. */
type Env = { readonly GREETING: string };

export default {
  // The third argument has `state`, `call` and `chain` where cloister.json asks for them: FunctionContext<'state'>.
  async fetch(request: Request, env: Env, _ctx: FunctionContext): Promise<Response> {
    const name = new URL(request.url).searchParams.get('name') ?? 'world';
    return new Response(`${env.GREETING}, ${name}!\n`);
  },
};
