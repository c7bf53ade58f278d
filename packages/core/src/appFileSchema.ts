import { appFileForm } from './appFile.ts';
import { appFileDescriptions } from './appFileDescriptions.ts';
import * as z from './schema.ts';

/** A JSON Schema as far as this file looks into it. */
type SchemaNode = {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  description?: string;
};

/** The form of `cloister.json` as JSON Schema (draft 7, which editors read), made from the form that reads it. */
export function appFileSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(appFileForm, { io: 'input', target: 'draft-7' });
  for (const [path, node] of fieldsOf(schema as SchemaNode)) {
    const description = appFileDescriptions[path];
    if (description !== undefined) node.description = description;
  }
  return {
    $schema,
    title: 'A Cloister app',
    description: 'What "cloister deploy" reads of a folder.',
    ...schema,
    required: ['main'],
  };
}

/** Every field by its path: `limits.memoryBytes`, `schedules[].cron`. */
export function appFileFields(): readonly string[] {
  const schema = z.toJSONSchema(appFileForm, { io: 'input', target: 'draft-7' }) as SchemaNode;
  return [...fieldsOf(schema)].map(([path]) => path);
}

function* fieldsOf(node: SchemaNode, at = ''): Generator<readonly [path: string, node: SchemaNode]> {
  for (const [name, field] of Object.entries(node.properties ?? {})) {
    const path = at === '' ? name : `${at}.${name}`;
    yield [path, field];
    yield* fieldsOf(field, path);
  }
  if (node.items !== undefined) yield* fieldsOf(node.items, `${at}[]`);
  for (const choice of node.anyOf ?? []) yield* fieldsOf(choice, at);
}
