import { CloisterError } from '@cloister/core';

/**
 * That there is WebCrypto: without it nothing can be sealed, and a browser would say so by a TypeError in the middle of a call. Throws
 * CLIENT_NO_WEBCRYPTO.
 */
export function assertWebCrypto(): void {
  if ((globalThis.crypto as Partial<Crypto> | undefined)?.subtle !== undefined) return;
  throw new ClientError(
    'CLIENT_NO_WEBCRYPTO',
    'There is no WebCrypto here: browsers give it to pages that came by https, or from localhost',
    'Serve the page by https; while you develop, open it as http://localhost',
  );
}

export type ClientErrorCode = 'CLIENT_NO_RPC' | 'CLIENT_NO_WEBCRYPTO' | 'CLIENT_OTHER_MANIFEST';

export class ClientError extends CloisterError<ClientErrorCode> {
  override readonly name = 'ClientError';
  constructor(code: ClientErrorCode, message: string, hint?: string) {
    super({ code, message, hint });
  }
}
