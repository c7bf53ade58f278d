import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { appName, checkedByFile, type ReadAppFile, readAppFile } from '@cloister/build';
import {
  type AppFile,
  type Manifest,
  manifestOfKind,
  type RunnableKind,
  runtimeNames,
  unavailableFeature,
  type WholeFields,
  wholeFields,
  zeroBytes32,
} from '@cloister/core';
import { parseCompose } from '@cloister/sandbox';
import { enginesFor, kindOfCode } from './readCode.ts';
import { readSecretsFile } from './secretValues.ts';

/** What is to be deployed, with what a `cloister.json` says of it. */
export type Project = {
  /** The file with the code. */
  readonly main: string;
  /** As the file or its folder suggests; undefined where a file alone was named. */
  readonly name: string | undefined;
  readonly fields: AppFile;
  readonly secretsFile: string | undefined;
};

/**
 * A file with code, or a folder by its `cloister.json`, checked. Throws AppFileError.
 * @param manifest another file of that form: in place of the folder's, or beside the file with code
 */
export async function openProject(fileOrFolder: string, manifest?: string): Promise<Project> {
  if (await is(fileOrFolder, 'folder')) return checkProject(await readAppFile(manifest ?? fileOrFolder));
  if (manifest !== undefined) return checkProject(await readAppFile(manifest), fileOrFolder);
  return { main: fileOrFolder, name: undefined, fields: {}, secretsFile: undefined };
}

/**
 * What a `cloister.json` says, held against what lies beside it and what this release runs. Throws APP_FILE_INVALID with line and column.
 * @param code the file with the code, in place of the one that `main` names
 */
export async function checkProject(
  read: ReadAppFile,
  code?: string,
): Promise<Project & { readonly kind: RunnableKind }> {
  const { fields, errorAt } = read;
  const main = code ?? (await mainOf(read));
  const kind = await kindOfCode(main);
  if (fields.kind !== undefined && fields.kind !== kind)
    throw errorAt(
      ['kind'],
      Object.hasOwn(runtimeNames, fields.kind)
        ? `it says "${fields.kind}", and "${main}" is a ${kind}`
        : `no worker of this release runs a "${fields.kind}"`,
    );
  const engine = fields.runtime?.name;
  const engines = enginesFor(main);
  if (engine !== undefined && engines !== undefined && !engines.includes(engine))
    throw errorAt(['runtime', 'name'], `it says "${engine}", and "${main}" runs on ${engines.join(' or ')}`);
  const secretsFile = fields.secretsFile === undefined ? undefined : beside(read, fields.secretsFile);
  if (secretsFile !== undefined && !(await is(secretsFile, 'file')))
    throw errorAt(['secretsFile'], `there is no file "${secretsFile}"`);
  const names = secretsFile === undefined ? [] : Object.keys(await readSecretsFile('secretsFile', secretsFile)).sort();
  const container = kind === 'container' ? await reachedIn(main, read) : undefined;
  checkedByFile(read, () => unavailableFeature(manifestOf(fields, kind, names, container)));
  return {
    main,
    name: fields.name ?? (code === undefined ? appName(path.join(read.folder, 'index')) : undefined),
    fields,
    secretsFile,
    kind,
  };
}

async function mainOf(read: ReadAppFile): Promise<string> {
  const { main } = read.fields;
  if (main === undefined) throw read.errorAt([], '"main" is missing: name the file with the code');
  const file = beside(read, main);
  if (await is(file, 'file')) return file;
  throw read.errorAt(['main'], `there is no file "${file}"; where it is built or fetched, do that first`);
}

/** Where calls of a compose file go, which its `cloister.json` may say too, but not otherwise. Throws ComposeError. */
async function reachedIn(
  compose: string,
  { fields, errorAt }: ReadAppFile,
): Promise<NonNullable<Manifest['container']>> {
  const reached = parseCompose(await readFile(compose, 'utf8')).public;
  for (const field of ['service', 'port'] as const) {
    const stated = fields.container?.[field];
    if (stated !== undefined && stated !== reached[field])
      throw errorAt(
        ['container', field],
        `it says "${stated}", and "${compose}" sends calls to "${reached.service}" on ${reached.port}`,
      );
  }
  return reached;
}

/** The manifest as far as it is known before the code is built. */
function manifestOf(fields: AppFile, kind: RunnableKind, secrets: readonly string[], container: Manifest['container']) {
  const code = {
    sha256: zeroBytes32,
    bytes: 1,
    ...(fields.sealCode && { sealed: { digest: zeroBytes32, keyVersion: 1 } }),
  };
  const whole: WholeFields = {
    ...(secrets.length > 0 && { secrets }),
    ...wholeFields(fields, kind, container && { container }),
  };
  return manifestOfKind(kind, { ...whole, name: fields.name ?? 'app', code });
}

/** A path that the file names, as the file itself was named. */
function beside({ file }: ReadAppFile, name: string): string {
  return path.join(path.dirname(file), name);
}

async function is(name: string, what: 'file' | 'folder'): Promise<boolean> {
  const found = await stat(name).catch(() => undefined);
  return (what === 'file' ? found?.isFile() : found?.isDirectory()) ?? false;
}
