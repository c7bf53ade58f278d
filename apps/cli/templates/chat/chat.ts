// Asks the model by the unmodified OpenAI client: node chat.ts 0xAPP_ID "question"
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { createClient } from '@cloister/sdk';
import OpenAI from 'openai';

const [app, question = 'Tell me about the river'] = process.argv.slice(2);
if (!/^0x[0-9a-f]{64}$/.test(app ?? '')) throw new Error('Give the app id that "cloister deploy" printed');

const client = createClient({ network: await readFile('.cloister/network.json') });
const openai = new OpenAI({
  baseURL: 'https://app.invalid/v1',
  apiKey: 'none',
  // Every request goes sealed to a worker whose evidence was verified; a stream fails at its end unless its receipt holds.
  fetch: client.fetchFor(app as `0x${string}`),
});
const stream = await openai.chat.completions.create({
  model: 'my-app',
  messages: [{ role: 'user', content: question }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
process.stdout.write('\n');
