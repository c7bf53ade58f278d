/** The head of an answer, as a module writes it to descriptor 3. */
export type AnswerHead = { readonly status: number; readonly headers: readonly (readonly [string, string])[] };

export const maxHeadBytes = 16 * 1024;
const line = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;
/** Of the connection, or of the worker. */
const reserved = /^(?:connection|keep-alive|transfer-encoding|content-length|upgrade|trailer|te|cloister-.*)$/i;

/** Lines "Name: value", of which "Status: 404" sets the status. Undefined where a line is none, or one names what is not the app's. */
export function parseAnswerHead(text: string): AnswerHead | undefined {
  let status = 200;
  const headers: [string, string][] = [];
  for (const each of text.split(/\r?\n/).filter((candidate) => candidate !== '')) {
    const [, name = '', value = ''] = line.exec(each) ?? [];
    if (name === '' || reserved.test(name)) return undefined;
    if (name.toLowerCase() === 'status') {
      if (!/^[2-5]\d\d$/.test(value.trim())) return undefined;
      status = Number(value);
    } else headers.push([name.toLowerCase(), value.trimEnd()]);
  }
  return { status, headers };
}
