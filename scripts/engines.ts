// `npm run engines [-- --gpu]`: installs what runs models, once. Workers that start afterwards offer the kind.
import { parseArgs } from 'node:util';
import { ensureInstalled, parts } from './lib/ensureInstalled.ts';
import { say } from './lib/print.ts';
import { runMain, ScriptError } from './lib/scriptError.ts';

await runMain(async () => {
  const { values } = parseArgs({ options: { gpu: { type: 'boolean', default: false } } });
  if (values.gpu && `${process.platform}-${process.arch}` !== 'linux-x64')
    throw new ScriptError({
      code: 'SCRIPT_BAD_ARGUMENT',
      message: `llama.cpp for GPUs comes for Linux on x64, and this is "${process.platform}-${process.arch}"`,
      hint: 'leave out --gpu',
    });
  const installed = await ensureInstalled(parts.engines);
  say(`engines for models: ${installed ? 'installed' : 'there already'}`);
  if (!values.gpu) return 0;
  const onGpu = await ensureInstalled(parts.enginesCuda);
  say(`llama.cpp for NVIDIA's GPUs: ${onGpu ? 'installed' : 'there already'}`);
  return 0;
});
