import type { ByteSource } from './byteSource.ts';
import { ImageError, shown } from './imageError.ts';
import { type TarEntry, tarEntries } from './tarEntries.ts';

/** What all layers of an image may still have. */
export type LayerBudget = { entries: number; bytes: number };

/**
 * Looks at every member of a layer: names stay below the root, nothing is written through a link, no devices. An engine
 * checks most of this too; here it is known before any engine sees the bytes. Throws IMAGE_REFUSED, IMAGE_TOO_LARGE,
 * IMAGE_MALFORMED.
 */
export async function checkLayer(source: ByteSource, budget: LayerBudget): Promise<void> {
  const links = new Set<string>();
  for await (const entry of tarEntries(source, budget.entries)) {
    budget.entries -= 1;
    budget.bytes -= entry.bytes;
    if (budget.bytes < 0) throw new ImageError('IMAGE_TOO_LARGE', 'The image unpacks to more than it may');
    checkEntry(entry, links);
  }
}

function checkEntry({ name, type, linkName }: TarEntry, links: Set<string>): void {
  const path = pathBelowRoot(name);
  if (type === 'other')
    throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" is no file, folder or link: devices and pipes are refused`);
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1))
    if (links.has(path.slice(0, end)))
      throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" would be written through a link of the same layer`);
  if (type === 'hardlink') pathBelowRoot(linkName);
  if (type === 'symlink') links.add(path);
  else links.delete(path);
}

/** The name without a leading "/" or "./". Throws IMAGE_REFUSED where it would leave the root. */
function pathBelowRoot(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new ImageError('IMAGE_REFUSED', `"${shown(name)}" leads out of the image`);
  return parts.join('/');
}
