import { accessSync, constants } from 'node:fs';

/** Programs of the host that build walls; undefined where one isn't installed. */
export type Tools = { readonly [Name in ToolName]: string | undefined };

const toolNames = [
  ...(['bwrap', 'unshare', 'setpriv', 'prlimit', 'mount', 'chroot', 'ldd', 'sh', 'bash'] as const),
  ...(['podman', 'runc', 'crun', 'runsc'] as const),
] as const;
export type ToolName = (typeof toolNames)[number];

// A fixed list: what builds the walls must not depend on PATH.
const directories = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];

export function findTools(): Tools {
  return Object.fromEntries(toolNames.map((name) => [name, findTool(name)])) as Tools;
}

function findTool(name: string): string | undefined {
  return directories.map((directory) => `${directory}/${name}`).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
