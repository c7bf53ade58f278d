import { writeFileSync } from 'node:fs';
import { channelVectors } from './channelVectors.ts';

// Run by hand, and only for a new version of the protocol: `node packages/channel/test/writeVectors.ts`.
writeFileSync(
  new URL('../../../vectors/channel.json', import.meta.url),
  `${JSON.stringify(await channelVectors(), null, 2)}\n`,
);
