import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { runNpm } from './npmCli.ts';
import {
  builtSpecifiers,
  builtUrls,
  emittedFolder,
  packageForUsers,
  tarballName,
  withNeeded,
} from './packageForUsers.ts';
import { inRoot, root } from './paths.ts';
import { runNode } from './runProcess.ts';
import { ScriptError } from './scriptError.ts';
import { readWorkspaces, type Workspace } from './workspaces.ts';

export type PackedPackage = {
  readonly name: string;
  readonly version: string;
  readonly tarball: string;
  readonly bytes: number;
};

/** What users install by name; the packages that these need come along. */
export const publishedPackages = ['@cloister/sdk', '@cloister/cli'] as const;

/**
 * Builds JavaScript and declarations of the published packages and all they need, and packs each into a tarball in
 * `folder`, which is emptied first. Throws SCRIPT_STEP_FAILED.
 */
export async function packPackages(
  folder: string,
  names: readonly string[] = publishedPackages,
): Promise<readonly PackedPackage[]> {
  const all = readWorkspaces();
  const packages = withNeeded(all, names);
  const versions = new Map(all.map(({ json }) => [json.name, json.version]));
  const staging = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-pack-'));
  try {
    const emitted = path.join(staging, 'emitted');
    await compile(packages, staging, emitted);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.mkdirSync(folder, { recursive: true });
    const packed: PackedPackage[] = [];
    for (const workspace of packages) {
      const staged = path.join(staging, 'packages', path.basename(workspace.folder));
      stage(workspace, emittedFolder(emitted, workspace), staged, versions);
      packed.push(await pack(workspace, staged, folder));
    }
    return packed;
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
}

/** One run of the compiler over all packages: imports between them resolve to sources and stay as they are written. */
async function compile(packages: readonly Workspace[], staging: string, out: string): Promise<void> {
  const config = path.join(staging, 'tsconfig.json');
  const options = {
    noEmit: false,
    noEmitOnError: true,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    allowImportingTsExtensions: false,
    rootDir: root,
    outDir: out,
    typeRoots: [inRoot('node_modules/@types')],
  };
  const sources = packages.map(({ folder }) => path.join(folder, 'src'));
  const exclude = sources.map((source) => path.join(source, '**/*.test.ts'));
  fs.writeFileSync(
    config,
    JSON.stringify({ extends: inRoot('tsconfig.json'), compilerOptions: options, include: sources, exclude }),
  );
  const { code, stdout, stderr } = await runNode([
    inRoot('node_modules/typescript/lib/tsc.js'),
    '-p',
    config,
    '--pretty',
    'false',
  ]);
  if (code !== 0)
    throw new ScriptError({
      code: 'SCRIPT_STEP_FAILED',
      message: `The packages do not compile:\n${`${stdout}${stderr}`.trim()}`,
    });
}

function stage(workspace: Workspace, emitted: string, staged: string, versions: ReadonlyMap<string, string>): void {
  fs.mkdirSync(staged, { recursive: true });
  fs.cpSync(emitted, path.join(staged, 'dist'), { recursive: true });
  // What is no source travels as it is: certificates, schemas, WebAssembly.
  fs.cpSync(path.join(workspace.folder, 'src'), path.join(staged, 'dist'), {
    recursive: true,
    filter: (file) => !file.endsWith('.ts'),
  });
  for (const file of fs.readdirSync(path.join(staged, 'dist'), { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.d.ts')) rewrite(path.join(staged, 'dist', file), builtSpecifiers);
    else if (file.endsWith('.js')) rewrite(path.join(staged, 'dist', file), builtUrls);
  }
  for (const file of ['README.md', 'bin', ...(workspace.json.files ?? [])]) {
    const from = path.join(workspace.folder, file);
    if (fs.existsSync(from)) fs.cpSync(from, path.join(staged, file), { recursive: true });
  }
  fs.copyFileSync(inRoot('LICENSE'), path.join(staged, 'LICENSE'));
  const json = packageForUsers(workspace.json, versions);
  fs.writeFileSync(path.join(staged, 'package.json'), `${JSON.stringify(json, null, 2)}\n`);
}

async function pack({ json }: Workspace, staged: string, folder: string): Promise<PackedPackage> {
  const { code, stderr } = await runNpm(['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: staged });
  const tarball = path.join(folder, tarballName(json.name, json.version));
  if (code !== 0 || !fs.existsSync(tarball))
    throw new ScriptError({
      code: 'SCRIPT_STEP_FAILED',
      message: `"${json.name}" could not be packed: ${stderr.trim()}`,
    });
  return { name: json.name, version: json.version, tarball, bytes: fs.statSync(tarball).size };
}

function rewrite(file: string, change: (text: string) => string): void {
  const text = fs.readFileSync(file, 'utf8');
  const changed = change(text);
  if (changed !== text) fs.writeFileSync(file, changed);
}
