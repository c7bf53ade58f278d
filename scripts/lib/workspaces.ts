import fs from 'node:fs';
import path from 'node:path';
import { root } from './paths.ts';

/** What is read of a package.json. */
export type PackageJson = {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly license?: string;
  readonly type?: string;
  readonly description?: string;
  readonly exports?: Readonly<Record<string, ExportTarget>>;
  readonly imports?: Readonly<Record<string, ExportTarget>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly sideEffects?: boolean;
  /** Folders that are packed as they are, beside what is built. */
  readonly files?: readonly string[];
  readonly scripts?: Readonly<Record<string, string>>;
};

/** A file, or a choice of files by condition. */
export type ExportTarget = string | { readonly [condition: string]: ExportTarget };

export type Workspace = {
  /** Absolute. */
  readonly folder: string;
  /** Relative to the base, with forward slashes: `packages/core`. */
  readonly path: string;
  readonly json: PackageJson;
};

/** Every package and application of the repository (or of another folder of that layout), sorted by path. */
export function readWorkspaces(base: string = root): readonly Workspace[] {
  return ['apps', 'packages'].flatMap((group) => {
    const parent = path.join(base, group);
    const names = fs.existsSync(parent) ? fs.readdirSync(parent).sort() : [];
    return names.flatMap((name) => {
      const folder = path.join(parent, name);
      const file = path.join(folder, 'package.json');
      return fs.existsSync(file) ? [{ folder, path: `${group}/${name}`, json: readPackageJson(file) }] : [];
    });
  });
}

export function readPackageJson(file: string): PackageJson {
  return JSON.parse(fs.readFileSync(file, 'utf8')) as PackageJson;
}

/** Every file that a target may stand for, with the conditions that lead there. */
export function targetsOf(target: ExportTarget | undefined, conditions: readonly string[] = []): readonly Target[] {
  if (target === undefined) return [];
  if (typeof target === 'string') return [{ file: target, conditions }];
  return Object.entries(target).flatMap(([condition, inner]) => targetsOf(inner, [...conditions, condition]));
}

export type Target = { readonly file: string; readonly conditions: readonly string[] };
