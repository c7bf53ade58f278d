import { zeroBytes32 } from './hex.ts';
import { type Manifest, manifestJson, manifestOfKind, type RunnableKind } from './manifest.ts';
import * as z from './schema.ts';

/** What a project's folder calls the file that says how it is deployed. */
export const appFileName = 'cloister.json';
export const maxAppFileBytes = 64 * 1024;

/** Objects with a default may be given in part: what they leave out stays at it. Everything else is given whole. */
type InPart<Field> = Field extends readonly unknown[] ? Field : Field extends object ? Partial<Field> : Field;

/** A file `cloister.json`: where the code is, and any fields of its manifest. */
export type AppFile = {
  readonly $schema?: string;
  /** Path of what is deployed, relative to the file. Where a folder is deployed it must be there. */
  readonly main?: string;
  /** Whether only the app's hosts are to read the code. */
  readonly sealCode?: boolean;
  /** Path of a JSON object with the values of its secrets, relative to the file. */
  readonly secretsFile?: string;
  /** Epochs to pay gateways for where none stores anything for free. */
  readonly storageEpochs?: number;
} & { readonly [Name in keyof Omit<Manifest, 'format' | 'code'>]?: InPart<Exclude<Manifest[Name], undefined>> };

const path = z.pattern(/\S/, 1_024);

/** Every object that has a default, which what is given in part is filled from. */
const usual: Readonly<Record<string, unknown>> = manifestOfKind('model', {
  name: 'app',
  code: { sha256: zeroBytes32, bytes: 1 },
});

/** The form of an {@link AppFile}: the manifest's own, so that a field that is added there is one here. */
export const appFileForm = z.strictObject({
  $schema: z.exactOptional(z.text(2_048)),
  main: z.exactOptional(path),
  sealCode: z.exactOptional(z.boolean()),
  secretsFile: z.exactOptional(path),
  storageEpochs: z.exactOptional(z.intBetween(1, 0xffff)),
  ...Object.fromEntries(
    Object.entries(manifestJson.shape)
      .filter(([name]) => name !== 'format' && name !== 'code')
      .map(([name, form]) => [name, z.exactOptional(isObject(usual[name]) ? z.inPart(form) : form)]),
  ),
});

/** Reads a parsed file. Throws SchemaError. */
export function appFileFromJson(json: unknown): AppFile {
  return z.parseWith(appFileForm, json, appFileName) as AppFile;
}

/** Manifest fields, each whole. */
export type WholeFields = Partial<Omit<Manifest, 'format' | 'kind' | 'name' | 'code' | 'limits'>> & {
  readonly limits?: Partial<Manifest['limits']>;
};

/**
 * The manifest fields that a file gives, each whole: what it leaves out of an object is as `stated`, else at the kind's default.
 * @param stated what else is known of the app, such as the engine that its file needs
 */
export function wholeFields(file: AppFile, kind: RunnableKind, stated: WholeFields = {}): WholeFields {
  const { $schema, main, sealCode, secretsFile, storageEpochs, kind: _, name, ...given } = file;
  const code = { sha256: zeroBytes32, bytes: 1 };
  const defaults = { ...manifestOfKind(kind, { name: 'app', code }), ...stated } as Readonly<Record<string, unknown>>;
  const filled = Object.entries(given).map(([field, value]) => {
    const usual = defaults[field];
    return [field, isObject(value) && isObject(usual) ? { ...usual, ...value } : value];
  });
  return { ...stated, ...(Object.fromEntries(filled) as WholeFields) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
