// What a peer of modules and models is: plain Node.js with an HTTP server and the usual library. Arguments: what it runs (wasm
// or onnx), the socket, the file, for onnx the library's folder.
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { WASI } from 'node:wasi';

type Run = (body: Buffer) => Promise<Uint8Array>;

const [kind = '', socketPath = '', file = '', library = ''] = process.argv.slice(2);

/** node:wasi reads and writes files: a call's request and answer go through two of them. */
async function wasm(): Promise<Run> {
  const module = await WebAssembly.compile(readFileSync(file));
  return async (body) => {
    const [input, output] = [`${socketPath}.in`, `${socketPath}.out`];
    writeFileSync(input, body);
    const [stdin, stdout] = [openSync(input, 'r'), openSync(output, 'w+')];
    try {
      const wasi = new WASI({ version: 'preview1', args: ['app'], env: {}, stdin, stdout, returnOnExit: true });
      wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject() as WebAssembly.Imports));
      return readFileSync(output);
    } finally {
      closeSync(stdin);
      closeSync(stdout);
      rmSync(input);
    }
  };
}

type Session = { run(feeds: object): Promise<Record<string, { readonly data: Float32Array }>> };
type Onnx = {
  readonly InferenceSession: { create(path: string, options: object): Promise<Session> };
  readonly Tensor: new (type: string, data: Float32Array, shape: readonly number[]) => object;
};
type Question = {
  readonly inputs: { readonly x: { readonly shape: readonly number[]; readonly data: readonly number[] } };
};

async function onnx(): Promise<Run> {
  const { InferenceSession, Tensor } = createRequire(`${library}/`)('onnxruntime-node') as Onnx;
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  return async (body) => {
    const { x } = (JSON.parse(body.toString()) as Question).inputs;
    const { y } = await session.run({ x: new Tensor('float32', Float32Array.from(x.data), x.shape) });
    return Buffer.from(JSON.stringify({ outputs: { y: { data: Array.from(y?.data ?? []) } } }));
  };
}

const run = await (kind === 'wasm' ? wasm() : onnx());
const server = createServer(async (request, response) => {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  response.end(await run(Buffer.concat(parts)));
});
server.listen(socketPath, () => writeSync(3, 'listening\n'));
