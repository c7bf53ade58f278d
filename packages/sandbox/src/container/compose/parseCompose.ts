import { maxComposeCharacters, serviceName } from '@cloister/core';
import { ComposeError } from './composeError.ts';
import { publicPort } from './publicPort.ts';
import { refusedKeys } from './refusedKeys.ts';
import { type ComposeService, readService } from './service.ts';
import { readYaml } from './yamlReader.ts';

/** What a compose file says, in the order in which its services are started. */
export type ComposeApp = {
  readonly services: readonly ComposeService[];
  /** Where calls go. */
  readonly public: { readonly service: string; readonly port: number };
};

const maxServices = 8;

/** Reads the subset of the Compose Specification that docs/containers.md describes. Throws ComposeError with the line. */
export function parseCompose(text: string): ComposeApp {
  if (text.length > maxComposeCharacters)
    throw new ComposeError('COMPOSE_MALFORMED', 1, `it has more than ${maxComposeCharacters} characters`);
  const yaml = readYaml(text);
  const services: ComposeService[] = [];
  let hasServices = false;
  for (const { key, line, value } of yaml.entries(yaml.root, 'the file')) {
    if (key === 'version' || key === 'name') continue;
    if (key !== 'services') throw unknownKey(key, line);
    hasServices = true;
    for (const entry of yaml.entries(value, '"services"')) {
      if (!serviceName.test(entry.key))
        throw new ComposeError('COMPOSE_MALFORMED', entry.line, `"${entry.key.slice(0, 80)}" is no name of a service`);
      services.push(readService(yaml, entry, unknownKey));
    }
  }
  if (!hasServices || services.length === 0) throw new ComposeError('COMPOSE_MALFORMED', 1, 'it has no services');
  const beyond = services[maxServices];
  if (beyond !== undefined)
    throw new ComposeError('COMPOSE_REFUSED', beyond.line, `it has more than ${maxServices} services`);
  return { services: inStartOrder(services), public: publicPort(services) };
}

/** Each after those that it depends on. */
function inStartOrder(services: readonly ComposeService[]): ComposeService[] {
  const ordered: ComposeService[] = [];
  const waiting = [...services];
  while (waiting.length > 0) {
    const index = waiting.findIndex(({ dependsOn }) =>
      dependsOn.every(({ service }) => ordered.some(({ name }) => name === service)),
    );
    const [next] = index === -1 ? [] : waiting.splice(index, 1);
    if (next === undefined) throw unmetDependency(services, waiting);
    ordered.push(next);
  }
  return ordered;
}

function unmetDependency(all: readonly ComposeService[], waiting: readonly ComposeService[]): ComposeError {
  const unknown = waiting
    .flatMap(({ dependsOn }) => dependsOn)
    .find(({ service }) => !all.some(({ name }) => name === service));
  if (unknown !== undefined)
    return new ComposeError('COMPOSE_MALFORMED', unknown.line, `there is no service "${unknown.service}"`);
  return new ComposeError('COMPOSE_MALFORMED', waiting[0]?.line ?? 1, 'services depend on each other in a circle');
}

function unknownKey(key: string, line: number): ComposeError {
  const why = refusedKeys[key];
  return new ComposeError(
    'COMPOSE_REFUSED',
    line,
    `"${key.slice(0, 80)}" ${why === undefined ? 'is not among the keys that are read' : `is refused: ${why}`}`,
    'docs/containers.md lists what a compose file may have',
  );
}
