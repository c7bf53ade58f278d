// A plain HTTP server: nothing in it knows where it runs.
import { createServer } from 'node:http';

const greeting = process.env.GREETING ?? 'Hello';

createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://my-app.invalid');
  const name = url.searchParams.get('name') ?? 'somebody';
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${greeting}, ${name}! From process ${process.pid} of a container.\n`);
}).listen(8080);
