import type { Exchange, UnixRequest } from '../http/exchange.ts';
import { UnixHttpClient } from '../http/unixClient.ts';
import type { RuntimeHandlers } from '../process/runtimeProcess.ts';

/** Calls an app's port by way of its relay. */
export class ContainerClient {
  readonly #client: UnixHttpClient;

  constructor(socketPath: string) {
    this.#client = new UnixHttpClient(socketPath);
  }

  send(request: UnixRequest, handlers: RuntimeHandlers): Exchange {
    return this.#client.send(request, {
      ...handlers,
      end: () => handlers.end(),
      // The relay closes the connection where the app broke off: that the relay itself was lost is seen by its end.
      failed: ({ message }, sent) => handlers.failed(new Error(message), sent),
    });
  }

  close(): void {
    this.#client.close();
  }
}
