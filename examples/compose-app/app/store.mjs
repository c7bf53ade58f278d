// Keeps notes in memory, for as long as its container runs.
import { createServer } from 'node:http';

const notes = [];
const most = 100;

createServer(async (request, response) => {
  if (request.method === 'POST') {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    notes.push(text.slice(0, 1_000));
    if (notes.length > most) notes.shift();
  }
  response.end(JSON.stringify({ notes }));
}).listen(7000);
