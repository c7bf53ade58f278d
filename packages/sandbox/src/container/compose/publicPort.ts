import { ComposeError } from './composeError.ts';
import type { ComposeService } from './service.ts';

/** The one port that callers reach: the only one of `ports`, or where there is none the only one of `expose`. */
export function publicPort(services: readonly ComposeService[]): { service: string; port: number } {
  const of = (key: 'ports' | 'expose') =>
    services.flatMap(({ name, [key]: ports }) => ports.map(({ port, line }) => ({ service: name, port, line })));
  const [published, exposed] = [of('ports'), of('expose')];
  const candidates = published.length > 0 ? published : exposed;
  const [first, second] = candidates;
  if (first === undefined)
    throw new ComposeError(
      'COMPOSE_MALFORMED',
      services[0]?.line ?? 1,
      'no service says on which port it speaks HTTP',
      'Give one of them: ports: ["8080"]',
    );
  if (second !== undefined)
    throw new ComposeError('COMPOSE_REFUSED', second.line, 'callers reach one port of one service');
  return { service: first.service, port: first.port };
}
