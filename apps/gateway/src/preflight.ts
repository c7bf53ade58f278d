import { claimHeader } from './blobRoutes.ts';
import type { Exchange } from './exchange.ts';
import { corsHeaders } from './problem.ts';

/** What a page of any origin may send. */
export function sendPreflight({ response }: Exchange): void {
  response.writeHead(204, {
    ...corsHeaders,
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, OPTIONS',
    'access-control-allow-headers': `content-type, if-none-match, ${claimHeader}`,
    'access-control-max-age': '86400',
  });
  response.end();
}
