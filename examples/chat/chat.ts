// The unmodified OpenAI client, private by one line: node examples/chat/chat.ts --network FILE --app 0x… "question"
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createClient } from '@cloister/sdk';
import OpenAI from 'openai';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    network: { type: 'string', default: '.cloister/devnet/network.json' },
    app: { type: 'string' },
    model: { type: 'string', default: 'tiny' },
  },
});
if (values.app === undefined) throw new Error('Give the app id that "cloister deploy" printed: --app 0x…');

const client = createClient({ network: await readFile(values.network) });
const openai = new OpenAI({
  baseURL: 'https://app.invalid/v1',
  apiKey: 'none',
  // The one line: every request goes sealed to a worker whose evidence was verified, and a stream fails unless its receipt holds.
  fetch: client.fetchFor(values.app as `0x${string}`),
});
const stream = await openai.chat.completions.create({
  model: values.model,
  messages: [{ role: 'user', content: positionals[0] ?? 'Tell me about the river' }],
  max_tokens: 60,
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
process.stdout.write('\n');
