// What callers reach: notes are kept by the store, and leave it only by way of this, signed with a key that is the app's alone.
import { createServer } from 'node:http';
import { DstackClient } from '@phala/dstack-sdk';

const store = process.env.STORE;
/** Finds the guest agent at /var/run/dstack.sock; the key stays with it. */
const guest = new DstackClient();

createServer(async (request, response) => {
  try {
    const body = request.method === 'POST' ? await textOf(request) : undefined;
    if (request.url !== '/notes') return response.writeHead(404).end('try /notes\n');
    const answer = await fetch(`${store}/notes`, body === undefined ? {} : { method: 'POST', body });
    const notes = await answer.text();
    const { signature, public_key } = await guest.sign('ed25519', notes);
    const headers = { 'notes-signature': hex(signature), 'notes-key': hex(public_key) };
    response.writeHead(answer.status, { 'content-type': 'application/json', ...headers }).end(notes);
  } catch (error) {
    console.error(error);
    response.writeHead(502).end('the store or the guest agent does not answer\n');
  }
}).listen(8080);

async function textOf(request) {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  return text;
}

function hex(bytes) {
  return Buffer.from(bytes).toString('hex');
}
