import type { Exchange, UnixRequest } from '../http/exchange.ts';
import { UnixHttpClient } from '../http/unixClient.ts';
import type { RuntimeHandlers, RuntimeReport } from '../process/runtimeProcess.ts';
import type { RunReport } from '../sandbox.ts';

const reportTrailer = 'cloister-report';

/** Calls the model host, and reads what it says of a run in the last trailer of the answer. */
export class ReportingClient {
  readonly #client: UnixHttpClient;

  constructor(socketPath: string) {
    this.#client = new UnixHttpClient(socketPath);
  }

  send(request: UnixRequest, handlers: RuntimeHandlers): Exchange {
    let report: RuntimeReport | undefined;
    return this.#client.send(request, {
      ...handlers,
      trailers: (trailers) => {
        report = reportIn(trailers);
      },
      end: () => handlers.end(report),
    });
  }

  close(): void {
    this.#client.close();
  }
}

/** A trailer is at most a line of the parser long; a host that was taken over may say anything in it. */
function reportIn(trailers: readonly (readonly [string, string])[]): RuntimeReport | undefined {
  const text = trailers.find(([name]) => name === reportTrailer)?.[1];
  if (text === undefined) return undefined;
  try {
    const run: unknown = JSON.parse(text);
    return typeof run === 'object' && run !== null && !Array.isArray(run)
      ? { status: 'ok', run: run as RunReport }
      : undefined;
  } catch {
    return undefined;
  }
}
