import { ComposeError } from './composeError.ts';
import { type Place, textAt, type YamlReader } from './yamlReader.ts';

export type ExposedPort = { readonly port: number; readonly line: number };

/** The port by which programs of an app reach the gate. */
export const proxyPort = 3128;

/** "8080" or, of ports, "80:8080": what is in front is a port of a host, which means nothing here. */
const portText = { ports: /^(?:\d{1,5}:)?(\d{1,5})(?:\/tcp)?$/, expose: /^(\d{1,5})(?:\/tcp)?$/ };

export function exposedPorts(yaml: YamlReader, place: Place, key: 'ports' | 'expose'): ExposedPort[] {
  return yaml.items(place, `"${key}"`).map((item) => {
    const text = textAt(item, `a port of "${key}"`);
    const port = Number(portText[key].exec(text)?.[1] ?? 0);
    if (port < 1 || port > 65_535)
      throw new ComposeError(
        'COMPOSE_REFUSED',
        item.line,
        `"${text.slice(0, 80)}" is not one TCP port without an address`,
        'Write "8080" or "80:8080"',
      );
    if (port === proxyPort)
      throw new ComposeError('COMPOSE_REFUSED', item.line, `port ${proxyPort} is that of the way out`);
    return { port, line: item.line };
  });
}
