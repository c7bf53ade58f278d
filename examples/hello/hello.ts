/** The smallest function: an ordinary web handler. Try it with `cloister dev examples/hello/hello.ts`, then deploy it. */
export default {
  async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).searchParams.get('name') ?? 'world';
    console.log('greeting asked for');
    return new Response(`Hello, ${name}!\n`);
  },
};
