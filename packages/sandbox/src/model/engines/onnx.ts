import type { OpenEngine } from '../host/engine.ts';
import type { OrtModule } from './onnx/binding.ts';
import { serveOnnx } from './onnx/serve.ts';
import { checkOnnx } from './onnxHeader.ts';

/** ONNX models by ONNX Runtime on the processor. */
export const openEngine: OpenEngine = async ({ weights, name, threads }) => {
  checkOnnx(weights);
  const packageName = 'onnxruntime-node';
  const loaded = (await import(packageName)) as OrtModule & { readonly default?: OrtModule };
  const module = loaded.default ?? loaded;
  const session = await module.InferenceSession.create(weights, {
    ...{ executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1, executionMode: 'sequential' },
    logSeverityLevel: 3,
  });
  return serveOnnx({ name, module, session });
};
