import fs from 'node:fs';
import path from 'node:path';

/** A text or bytes that nobody else may see. */
export type Secrets = Readonly<Record<string, string | Uint8Array>>;

/** The bytes in which a secret could be written down: as it is, in other character sets, and encoded at any alignment. */
export function writtenForms(secret: string | Uint8Array): ReadonlyMap<string, Buffer> {
  const plain = Buffer.from(secret as Uint8Array);
  const forms = new Map<string, Buffer>([
    ['plain', plain],
    ['reversed', Buffer.from(plain).reverse()],
    ['hexadecimal', Buffer.from(plain.toString('hex'))],
    ['hexadecimal in capitals', Buffer.from(plain.toString('hex').toUpperCase())],
    ['list of numbers', Buffer.from([...plain].join(','))],
    ...(typeof secret === 'string' ? textForms(secret) : []),
  ]);
  for (const encoding of ['base64', 'base64url'] as const)
    for (const offset of [0, 1, 2]) {
      // What the bytes before and after would change is left out at both ends.
      const encoded = Buffer.concat([Buffer.alloc(offset), plain])
        .toString(encoding)
        .replaceAll('=', '');
      const known = encoded.slice(offset === 0 ? 0 : offset + 1, (offset + plain.length) % 3 === 0 ? undefined : -1);
      forms.set(`${encoding} from ${offset}`, Buffer.from(known));
    }
  return forms;
}

function textForms(text: string): readonly [string, Buffer][] {
  const wide = Buffer.from(text, 'utf16le');
  return [
    ['UTF-16, little end first', wide],
    ['UTF-16, big end first', Buffer.from(wide).swap16()],
    ['URI encoding', Buffer.from(encodeURIComponent(text))],
    ['JSON', Buffer.from(JSON.stringify(text).slice(1, -1))],
    ['JSON in JSON', Buffer.from(JSON.stringify(JSON.stringify(text)).slice(3, -3))],
  ];
}

/** Which secrets stand in the bytes, and how: empty where none does. */
export function leaksIn(bytes: Buffer, secrets: Secrets): readonly string[] {
  return Object.entries(secrets).flatMap(([name, secret]) =>
    [...writtenForms(secret)].filter(([, form]) => bytes.includes(form)).map(([how]) => `${name} (${how})`),
  );
}

/** The same for every file of a folder. `skip` names paths that are meant to hold it. */
export function leaksInFolder(
  folder: string,
  secrets: Secrets,
  skip: (file: string) => boolean = () => false,
): { readonly leaks: readonly string[]; readonly files: number } {
  const leaks: string[] = [];
  let files = 0;
  for (const entry of fs.readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!entry.isFile() || skip(path.relative(folder, file))) continue;
    let bytes: Buffer;
    try {
      bytes = fs.readFileSync(file);
    } catch (error) {
      // Processes of the running network make and remove files.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    files += 1;
    for (const leak of leaksIn(bytes, secrets)) leaks.push(`${file}: ${leak}`);
  }
  return { leaks, files };
}
