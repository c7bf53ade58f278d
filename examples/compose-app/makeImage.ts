// node examples/compose-app/makeImage.ts notes.tar
import { writeFile } from 'node:fs/promises';
import { notesImage } from './notesImage.ts';

const file = process.argv[2] ?? 'notes.tar';
await writeFile(file, await notesImage(new AbortController().signal));
console.log(file);
