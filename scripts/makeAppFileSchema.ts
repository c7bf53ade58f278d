// Writes apps/cli/src/schema/cloister.schema.json, by which editors complete and check a project's cloister.json; into another folder
// where one is named. `npm run check` makes it again and compares.
import fs from 'node:fs';
import path from 'node:path';
import { appFileSchema } from '@cloister/core';
import { inRoot } from './lib/paths.ts';

const folder = process.argv[2] ?? inRoot('apps/cli/src/schema');
fs.mkdirSync(folder, { recursive: true });
fs.writeFileSync(path.join(folder, 'cloister.schema.json'), `${JSON.stringify(appFileSchema(), null, 2)}\n`);
