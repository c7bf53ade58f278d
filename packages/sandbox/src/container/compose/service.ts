import { envName, imageName } from '@cloister/core';
import { ComposeError } from './composeError.ts';
import { type ExposedPort, exposedPorts } from './ports.ts';
import { splitWords, withoutVariables } from './words.ts';
import { type Entry, isMapping, isNothing, isPlain, type Place, textAt, type YamlReader } from './yamlReader.ts';

/** One service as the file states it. */
export type ComposeService = {
  readonly name: string;
  /** Where it stands in the file. */
  readonly line: number;
  readonly image: string;
  /** In place of the image's, where they are given. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  /** Folders in memory that it may write to. */
  readonly tmpfs: readonly string[];
  readonly dependsOn: readonly { readonly service: string; readonly line: number }[];
  readonly ports: readonly ExposedPort[];
  readonly expose: readonly ExposedPort[];
};

type Draft = { -readonly [Key in keyof ComposeService]?: ComposeService[Key] };

const absolutePath = /^\/(?:[A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*)?$/;
const maxTmpfs = 16;

/** Reads a service. `unknown` makes the error for a key that is not read. */
export function readService(
  yaml: YamlReader,
  { key: name, line, value }: Entry,
  unknown: (key: string, line: number) => ComposeError,
): ComposeService {
  const draft: Draft = {};
  for (const { key, line: at, value: field } of yaml.entries(value, `service "${name}"`)) {
    switch (key) {
      case 'image':
        draft.image = readImage(field);
        break;
      case 'command':
      case 'entrypoint':
        draft[key] = readWords(yaml, field, key);
        break;
      case 'environment':
        draft.environment = readEnvironment(yaml, field);
        break;
      case 'working_dir':
        draft.workingDir = readPath(field, '"working_dir"');
        break;
      case 'tmpfs':
        draft.tmpfs = readTmpfs(yaml, field);
        break;
      case 'depends_on':
        draft.dependsOn = readDependencies(yaml, field);
        break;
      case 'ports':
      case 'expose':
        draft[key] = exposedPorts(yaml, field, key);
        break;
      case 'read_only':
        if (textAt(field, '"read_only"') !== 'true')
          throw new ComposeError('COMPOSE_REFUSED', at, 'every container is read-only: use tmpfs for what it writes');
        break;
      default:
        throw unknown(key, at);
    }
  }
  if (draft.image === undefined) throw new ComposeError('COMPOSE_MALFORMED', line, `service "${name}" has no image`);
  return { environment: {}, tmpfs: [], dependsOn: [], ports: [], expose: [], ...draft, image: draft.image, name, line };
}

function readImage(place: Place): string {
  const image = withoutVariables(textAt(place, '"image"'), place.line);
  if (imageName.test(image)) return image;
  throw new ComposeError('COMPOSE_MALFORMED', place.line, `"${image.slice(0, 80)}" is no name of an image`);
}

function readWords(yaml: YamlReader, place: Place, what: string): string[] {
  if (isPlain(place)) return splitWords(withoutVariables(textAt(place, `"${what}"`), place.line), place.line);
  return yaml.items(place, `"${what}"`).map((item) => withoutVariables(textAt(item, `a word of "${what}"`), item.line));
}

/** A mapping or a list of "NAME=value". A name alone stands for the app's own value, which every service has anyway. */
function readEnvironment(yaml: YamlReader, place: Place): Record<string, string> {
  const pairs = !isMapping(place)
    ? yaml.items(place, '"environment"').map((item) => {
        const [, name = '', value] = /^([^=]*)(?:=([\s\S]*))?$/.exec(textAt(item, 'a variable')) ?? [];
        return { name, value, line: item.line };
      })
    : yaml.entries(place, '"environment"').map(({ key, line, value }) => ({
        name: key,
        value: isNothing(value) ? undefined : textAt(value, `"${key}"`),
        line,
      }));
  const environment: Record<string, string> = {};
  for (const { name, value, line } of pairs) {
    if (!envName.test(name))
      throw new ComposeError('COMPOSE_MALFORMED', line, `"${name.slice(0, 80)}" is no name of a variable`);
    if (value !== undefined) environment[name] = withoutVariables(value, line);
  }
  return environment;
}

function readPath(place: Place, what: string): string {
  const path = textAt(place, what);
  if (absolutePath.test(path) && !path.split('/').includes('..')) return path;
  throw new ComposeError('COMPOSE_MALFORMED', place.line, `${what} is no absolute path: "${path.slice(0, 80)}"`);
}

function readTmpfs(yaml: YamlReader, place: Place): string[] {
  const places = isPlain(place) ? [place] : yaml.items(place, '"tmpfs"');
  if (places.length > maxTmpfs)
    throw new ComposeError('COMPOSE_REFUSED', place.line, `"tmpfs" has more than ${maxTmpfs} folders`);
  return places.map((item) => {
    const path = readPath(item, '"tmpfs"');
    // Over these lies what the worker and the engine put there.
    if (/^\/(?:$|(?:proc|sys|dev)(?:\/|$)|(?:var\/)?run$)/.test(path))
      throw new ComposeError('COMPOSE_REFUSED', item.line, `"${path}" can't be a folder in memory`);
    return path;
  });
}

function readDependencies(yaml: YamlReader, place: Place): { service: string; line: number }[] {
  if (!isMapping(place))
    return yaml.items(place, '"depends_on"').map((item) => ({ service: textAt(item, 'a service'), line: item.line }));
  return yaml.entries(place, '"depends_on"').map(({ key, line, value }) => {
    for (const { key: field, line: at, value: setting } of yaml.entries(value, `"${key}"`))
      if (field !== 'condition' || textAt(setting, '"condition"') !== 'service_started')
        throw new ComposeError('COMPOSE_REFUSED', at, 'services wait for the start of others alone: "service_started"');
    return { service: key, line };
  });
}
