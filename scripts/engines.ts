// `npm run engines`: installs what runs models, once. Workers that start afterwards offer the kind.
import { ensureInstalled, parts } from './lib/ensureInstalled.ts';
import { say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  const installed = await ensureInstalled(parts.engines);
  say(`engines for models: ${installed ? 'installed' : 'there already'}`);
  return 0;
});
