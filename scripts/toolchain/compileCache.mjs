// Loaded before a program of this checkout (--import): keeps what Node.js makes of the sources from one start to the next, which is half
// the time of a start. For the command line and the development network alone: an image of a worker starts from its sources.
import { enableCompileCache } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

enableCompileCache(
  path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '.toolchain', 'compile-cache'),
);
