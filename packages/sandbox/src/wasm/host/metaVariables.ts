/** A request as a module gets it. */
export type GuestRequest = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
};

/**
 * What a command sees of a request in its environment, by the names of CGI (RFC 3875); the app's own values come first and
 * can't be overwritten by a caller. Left out are headers whose names have other characters than letters, digits and "-",
 * which could pass for another header, and "Proxy", whose variable libraries take for a setting.
 */
export function metaVariables(
  { method, path, headers, body }: GuestRequest,
  env: { readonly [name: string]: string },
): string[] {
  const query = path.indexOf('?');
  const variables = new Map(Object.entries(env));
  const add = (name: string, value: string): void => {
    if (!Object.hasOwn(env, name)) variables.set(name, value);
  };
  add('GATEWAY_INTERFACE', 'CGI/1.1');
  add('REQUEST_METHOD', method);
  add('REQUEST_URI', path);
  add('PATH_INFO', query === -1 ? path : path.slice(0, query));
  add('QUERY_STRING', query === -1 ? '' : path.slice(query + 1));
  add('CONTENT_LENGTH', `${body.length}`);
  const fields = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (!/^[a-z0-9-]+$/.test(lower) || lower === 'proxy' || lower === 'content-length') continue;
    const former = fields.get(lower);
    fields.set(lower, former === undefined ? value : `${former}, ${value}`);
  }
  for (const [name, value] of fields)
    add(name === 'content-type' ? 'CONTENT_TYPE' : `HTTP_${name.toUpperCase().replaceAll('-', '_')}`, value);
  return [...variables].map(([name, value]) => `${name}=${value}`);
}

/** What a reactor sees of it: a line "GET /path", then a line "name: value" for each header. */
export function headText({ method, path, headers }: GuestRequest): string {
  return [`${method} ${path}`, ...headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`)].join('\n');
}
