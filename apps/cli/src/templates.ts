import { lstat, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { appName } from '@cloister/build';
import { CloisterError } from '@cloister/core';

/** A project to begin with: a folder of `templates/`. */
export type Template = {
  readonly name: string;
  readonly about: string;
  /** What has to be there before it can be deployed; undefined where it can be at once. */
  readonly needs: string | undefined;
};

export const templates: readonly Template[] = [
  { name: 'function', about: 'a function in TypeScript that answers requests', needs: undefined },
  { name: 'wasm', about: 'a WebAssembly module with counted instructions, deterministic', needs: 'npm run build' },
  {
    name: 'model',
    about: 'an ONNX model: tensors in, tensors out',
    needs: 'workers with the engines: npm run engines beside npm start',
  },
  {
    name: 'container',
    about: 'a compose file with one small service, whose image a script makes without a registry',
    needs: 'workers with podman, and npm run build for its image',
  },
  {
    name: 'chat',
    about: "a language model behind OpenAI's API, with a client",
    needs: 'workers with the engines, and weights as model.gguf',
  },
];

/** What a template's files call the app that they make. */
const placeholder = 'my-app';
/** Where the name stands; all other files are as they are. */
const named = new Set(['cloister.json', 'package.json', 'README.md', 'chat.ts', 'compose.yaml']);
const schemaFile = 'cloister.schema.json';

const templatesFolder = fileURLToPath(new URL('../templates/', import.meta.url));

/** What was made: paths of the files as the folder was named, and the app's name. */
export type MadeProject = { readonly folder: string; readonly name: string; readonly files: readonly string[] };

/**
 * Makes a project of a template, named as its folder. It writes over nothing, and leaves nothing half made. Throws
 * INIT_TEMPLATE_UNKNOWN, INIT_FILE_EXISTS.
 */
export async function makeProject(template: string, folder: string): Promise<MadeProject> {
  if (!templates.some(({ name }) => name === template))
    throw new InitError(
      'INIT_TEMPLATE_UNKNOWN',
      `There is no template "${template}"`,
      `Choose one of ${templates.map(({ name }) => name).join(', ')}`,
    );
  const name = appName(path.join(path.resolve(folder), 'index'));
  const contents = await contentsOf(template, name);
  const targets = [...contents].map(([file, content]) => ({ target: path.join(folder, file), content }));
  for (const { target } of targets) await assertAbsent(target);
  const made: string[] = [];
  try {
    for (const { target, content } of targets) {
      await mkdir(path.dirname(target), { recursive: true });
      // Fails where another has written it since.
      await writeFile(target, content, { flag: 'wx' });
      made.push(target);
    }
  } catch (error) {
    for (const target of made) await rm(target, { force: true });
    throw error;
  }
  return { folder, name, files: [...contents.keys()] };
}

/** Every file of a project, relative to its folder, by what it holds. */
async function contentsOf(template: string, name: string): Promise<ReadonlyMap<string, string | Uint8Array>> {
  const root = path.join(templatesFolder, template);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const contents = new Map<string, string | Uint8Array>();
  for (const entry of entries.filter((one) => one.isFile())) {
    const source = path.join(entry.parentPath, entry.name);
    const bytes = await readFile(source);
    // Packed, a file named .gitignore would be left out.
    const file = path.relative(root, source).replace(/(^|\/)gitignore$/, '$1.gitignore');
    contents.set(file, named.has(entry.name) ? bytes.toString('utf8').replaceAll(placeholder, name) : bytes);
  }
  contents.set(schemaFile, await readFile(new URL(`./schema/${schemaFile}`, import.meta.url)));
  return contents;
}

async function assertAbsent(file: string): Promise<void> {
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    // A file stands where a folder would have to be.
    if (error.code === 'ENOTDIR') return true;
    throw error;
  });
  if (found === undefined) return;
  throw new InitError('INIT_FILE_EXISTS', `There is "${file}" already`, 'Choose another folder, or move it away');
}

export class InitError extends CloisterError<'INIT_TEMPLATE_UNKNOWN' | 'INIT_FILE_EXISTS'> {
  override readonly name = 'InitError';
  constructor(code: InitError['code'], message: string, hint: string) {
    super({ code, message, hint });
  }
}
