import fs from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { NetworkFile } from '@cloister/core';
import { builtinsInBundle, bundleForBrowser } from '../../scripts/lib/browserBundle.ts';
import { inRoot } from '../../scripts/lib/paths.ts';

/** A web server of somebody's page, which is neither a gateway nor of the same origin as one. */
export type PageServer = {
  readonly port: number;
  /** Length of the page's JavaScript, minified. */
  readonly bundleBytes: number;
  readonly stop: () => Promise<void>;
};

const types: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript' };

/**
 * Bundles `e2e/page` into the folder, with the network file written into the page, and serves it on loopback. The page may load its own
 * script alone, and may reach these origins alone. Throws where the bundle holds a module of Node.js.
 */
export async function servePage(
  folder: string,
  { network, reach }: { readonly network: NetworkFile; readonly reach: readonly string[] },
): Promise<PageServer> {
  const bundle = await bundleForBrowser(inRoot('e2e/page'), folder);
  const builtins = builtinsInBundle(bundle);
  if (builtins.length > 0) throw new Error(`The page reaches for Node.js: ${builtins.join(', ')}`);
  const index = path.join(folder, 'index.html');
  // "<" can end the element that the file stands in.
  const json = JSON.stringify(network).replaceAll('<', '\\u003c');
  const html = fs.readFileSync(index, 'utf8');
  const pinned = html.replace(
    /(<script type="application\/json" id="network">)\{\}(?=<\/script>)/,
    (_, tag) => tag + json,
  );
  if (pinned === html) throw new Error('The page has no place for the network file');
  fs.writeFileSync(index, pinned);
  const policy = `default-src 'none'; script-src 'self'; connect-src ${reach.map((url) => `${url} ${url.replace(/^http/, 'ws')}`).join(' ')}`;
  const files = new Map(
    fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file) => [`/${path.relative(folder, file)}`, file]),
  );
  const server = createServer((request, response) => {
    const file = files.get(request.url === '/' ? '/index.html' : (request.url ?? ''));
    if (file === undefined) return void response.writeHead(404).end();
    const type = types[path.extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'content-security-policy': policy }).end(fs.readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    bundleBytes: bundle.bytes,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
