// The engine alone, as its documentation says: a process with an HTTP server that continues a prompt. Arguments: the socket, the
// weights, the folder of the library, tokens of an answer, threads.
import { writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [socketPath = '', weights = '', library = '', tokens = '', threads = ''] = process.argv.slice(2);
const maxTokens = Number(tokens);

type Completion = { generateCompletion(prompt: string, options: object): Promise<string> };
type Context = { getSequence(): { clearHistory(): Promise<void> } };
type LlamaModule = {
  getLlama(options: object): Promise<{
    loadModel(options: object): Promise<{ createContext(options: object): Promise<Context> }>;
  }>;
  readonly LlamaCompletion: new (options: object) => Completion;
};

const { getLlama, LlamaCompletion } = (await import(
  pathToFileURL(createRequire(`${library}/`).resolve('node-llama-cpp')).href
)) as LlamaModule;
const llama = await getLlama({
  ...{ gpu: false, build: 'never', skipDownload: true, progressLogs: false, maxThreads: Number(threads) },
});
const model = await llama.loadModel({ modelPath: weights, gpuLayers: 0 });
const context = await model.createContext({ contextSize: 1024, threads: Number(threads) });
const sequence = context.getSequence();
const completion = new LlamaCompletion({ contextSequence: sequence });

createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const { prompt, seed } = JSON.parse(Buffer.concat(parts).toString()) as { prompt: string; seed: number };
  await sequence.clearHistory();
  const text = await completion.generateCompletion(prompt, { maxTokens, seed, temperature: 1 });
  response.end(JSON.stringify({ choices: [{ text }] }));
}).listen(socketPath, () => writeSync(3, 'listening\n'));
