import { readFile } from 'node:fs/promises';
import { namedValues, OptionValueError } from './optionValues.ts';

export type SecretOptions = { readonly secret?: string[]; readonly secretsFile?: string };

/** The values of --secrets-file and --secret, the latter first; undefined where neither is given. Throws OPTION_VALUE_INVALID. */
export async function readSecretValues(options: SecretOptions): Promise<Record<string, string> | undefined> {
  if (options.secret === undefined && options.secretsFile === undefined) return undefined;
  const fromFile =
    options.secretsFile === undefined ? {} : await readSecretsFile('--secrets-file', options.secretsFile);
  // Named without its text: what is malformed may be a secret all the same.
  const wrong = (options.secret ?? []).findIndex((item) => item.indexOf('=') < 1);
  if (wrong !== -1) throw new OptionValueError('--secret', `(number ${wrong + 1}, not shown)`, 'NAME=value');
  return { ...fromFile, ...namedValues('--secret', options.secret ?? []) };
}

/** The values in a file. Throws OPTION_VALUE_INVALID. @param named what names the file */
export async function readSecretsFile(named: string, file: string): Promise<Record<string, string>> {
  const text = await readFile(file, 'utf8');
  try {
    const values: unknown = JSON.parse(text);
    if (typeof values === 'object' && values !== null && Object.values(values).every((one) => typeof one === 'string'))
      return values as Record<string, string>;
  } catch {
    // told below
  }
  throw new OptionValueError(named, file, 'a file with a JSON object of strings');
}
