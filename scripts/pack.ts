// `npm run pack [-- --json]`: the sdk, the cli and what they need as tarballs in dist-packages/, for use elsewhere.
import { parseArgs } from 'node:util';
import { packPackages, publishedPackages } from './lib/packPackages.ts';
import { inRoot, relativeToRoot } from './lib/paths.ts';
import { heading, paint, say } from './lib/print.ts';
import { runMain } from './lib/scriptError.ts';

await runMain(async () => {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const packed = await packPackages(inRoot('dist-packages'));
  for (const { name, version, tarball, bytes } of packed)
    say(
      values.json
        ? JSON.stringify({ name, version, tarball, bytes })
        : `  ${name}@${version} ${paint('dim', `${relativeToRoot(tarball)}, ${Math.ceil(bytes / 1024)} kB`)}`,
    );
  if (!values.json) {
    heading(`${publishedPackages.join(' and ')}, anywhere:`);
    say(`  npm install ${inRoot('dist-packages')}/*.tgz`);
  }
  return 0;
});
