import { readFile } from 'node:fs/promises';
import type { OpenEngine } from '../host/engine.ts';
import type { OrtModule, Session } from './onnx/binding.ts';
import { serveOnnx } from './onnx/serve.ts';
import { withOneNaN } from './onnx/withOneNaN.ts';
import { checkOnnx } from './onnxHeader.ts';

/** The part of onnxruntime-web that onnxruntime-node has not. */
type WebModule = OrtModule & {
  readonly env: { readonly wasm: { numThreads: number; proxy: boolean } };
};

/**
 * ONNX models by ONNX Runtime as WebAssembly: slower, and the same on every machine. One thread adds in one order, the module holds none of
 * the instructions whose results the processor chooses (relaxed SIMD; a test looks), operators that draw at random are refused, and a NaN,
 * whose bits WebAssembly leaves open, is written in one form. So the answer follows from weights and request.
 */
export const openEngine: OpenEngine = async ({ weights, name }) => {
  checkOnnx(weights, { random: false });
  const packageName = 'onnxruntime-web';
  const module = (await import(packageName)) as WebModule;
  module.env.wasm.numThreads = 1;
  module.env.wasm.proxy = false;
  // The engine has a memory of its own, of 4 GiB at most, and takes a copy.
  const session = await module.InferenceSession.create(new Uint8Array(await readFile(weights)), {
    ...{ executionProviders: ['wasm'], executionMode: 'sequential', logSeverityLevel: 3 },
  });
  return serveOnnx({ name, module, session: oneNaN(session) });
};

function oneNaN(session: Session): Session {
  const { inputMetadata, outputMetadata } = session;
  return {
    inputMetadata,
    outputMetadata,
    run: async (feeds, fetches) => {
      const answer = await session.run(feeds, fetches);
      for (const { data } of Object.values(answer)) withOneNaN(data);
      return answer;
    },
  };
}
