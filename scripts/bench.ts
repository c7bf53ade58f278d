// `npm run bench [-- ID…] [--json] [--list]`: installs the peers when first needed, then measures side by side.
import { ensureInstalled, parts } from './lib/ensureInstalled.ts';
import { inRoot } from './lib/paths.ts';
import { runNode } from './lib/runProcess.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  const args = process.argv.slice(2);
  if (!args.includes('--list') && !args.includes('--help')) await ensureInstalled(parts.bench);
  const { code } = await runNode([inRoot('bench/src/run.ts'), ...args], { output: 'inherit', timeoutMs: 60 * 60_000 });
  return code;
});
