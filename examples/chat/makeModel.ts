import { writeFile } from 'node:fs/promises';
import { tinyModel } from './tinyModel.ts';

const [file = 'tiny.gguf'] = process.argv.slice(2);
const bytes = tinyModel();
await writeFile(file, bytes);
process.stdout.write(`${file}: ${bytes.length} bytes\n`);
