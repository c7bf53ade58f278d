import { CloisterError } from '@cloister/core';

export class ClientError extends CloisterError<'CLIENT_NO_RPC' | 'CLIENT_OTHER_MANIFEST'> {
  override readonly name = 'ClientError';
  constructor(code: 'CLIENT_NO_RPC' | 'CLIENT_OTHER_MANIFEST', message: string) {
    super({ code, message });
  }
}
