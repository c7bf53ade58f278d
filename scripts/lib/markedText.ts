/**
 * Replaces what stands between two marker comments, `<!-- NAME:start -->` and `<!-- NAME:end -->`.
 * Throws where the markers are not both there.
 */
export function replaceMarked(text: string, name: string, inner: string): string {
  const start = `<!-- ${name}:start -->`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(start);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1) throw new RangeError(`Expected the markers "${start}" and "${end}"`);
  return `${text.slice(0, from + start.length)}\n${inner.trim()}\n${text.slice(to)}`;
}
