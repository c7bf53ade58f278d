import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findFreezers } from '../../cgroup/freezer.ts';

/** What receipts call it, and how the engine is told to use it. */
export const gvisorName = 'runsc';

/**
 * By ptrace, which works on every processor and in every guest. Its groups are ours to make: the processes stay in the one
 * that the engine starts them in, below the app's. Containers share a network that has nothing but a loopback by its own
 * sockets, as the kernel's ("host" is the namespace that it is given). Sockets that are files are those of the guest agent
 * alone, which may be connected to, never made. The engine's filter holds inside too.
 */
const flags = [
  ...['--platform=ptrace', '--ignore-cgroups', '--network=host', '--host-uds=open', '--oci-seccomp'],
  ...['--net-raw=false', '--overlay2=none'],
];

/**
 * Makes a user namespace part of a container's description (OCI runtime-spec, config-linux.md), in which everybody is who they
 * are outside: gVisor's kernel may then trace the processes that it makes, and none of the machine's. Without one it would be
 * among those with that right, since tracing by ptrace works in the machine's process namespace alone. Engines can't be asked
 * for it by their API, and would copy the image. No text of an app's is taken for the places: quotes in it are escaped.
 */
const everybody = '[{"containerID":0,"hostID":0,"size":4294967295}]';
const ownUserSpace = [
  's/"namespaces":\\[/&{"type":"user"},/',
  `s/"linux":{/&"uidMappings":${everybody},"gidMappings":${everybody},/`,
].join('; ');

/** Where it keeps what it knows of containers: nobody else's are in it. */
const rootOf = (storageDir: string): string => join(storageDir, 'runsc');

/** A program that engines can be given for a runtime: they take no words for one. */
export async function gvisorProgram(storageDir: string, runsc: string): Promise<string> {
  const file = join(storageDir, `${gvisorName}.sh`);
  const words = [runsc, `--root=${rootOf(storageDir)}`, ...flags].map(quoted).join(' ');
  const script = [
    '#!/bin/sh',
    'bundle= before=',
    'for word in "$@"; do [ "$before" != --bundle ] || bundle=$word; before=$word; done',
    `[ -z "$bundle" ] || sed -i '${ownUserSpace}' "$bundle/config.json" || exit 1`,
    `exec ${words} "$@"`,
    '',
  ];
  await writeFile(file, script.join('\n'), { mode: 0o700 });
  return file;
}

/** Ends what a lost worker left, which may be held in its group and then answers nobody who asks it to end. */
export function endLostSandboxes(storageDir: string): void {
  const freezers = findFreezers();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    if (!isSandbox(name, rootOf(storageDir))) continue;
    signal(Number(name));
    const [group] = /^\d+:(?:freezer)?:(\/.+)$/m.exec(read(`/proc/${name}/cgroup`))?.slice(1) ?? [];
    if (group !== undefined) freezers?.(group).thaw();
  }
}

function isSandbox(pid: string, root: string): boolean {
  const [program = '', ...words] = read(`/proc/${pid}/cmdline`).split('\0');
  return program.startsWith(gvisorName) && words.includes(`--root=${root}`);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
