import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { buildsToRenew } from '../../scripts/lib/contractBuilds.ts';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cloister-builds-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

function write(file: string, content: unknown): void {
  fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
  fs.writeFileSync(path.join(folder, file), JSON.stringify(content));
}
const build = (id: string, sources: Readonly<Record<string, string>>) => {
  const named = Object.entries(sources).map(([name, content]) => [name, { content }]);
  write(`build-info/${id}.json`, { input: { language: 'Solidity', settings: {}, sources: Object.fromEntries(named) } });
  write(`build-info/${id}.output.json`, { buildInfoId: id, inputSourceName: 'project/src/A.sol' });
};
const artifact = (file: string, buildInfoId: string, inputSourceName: string) =>
  write(file, { contractName: 'A', buildInfoId, inputSourceName });
const found = (...changed: readonly string[]) =>
  Object.fromEntries(
    buildsToRenew(folder, (source) => changed.includes(source)).map(({ id, input }) => [
      id,
      Object.keys(input.sources).sort(),
    ]),
  );

test('are those that artifacts name, each with what its artifacts need', () => {
  build('old', {
    'project/src/A.sol': 'import {B} from "./lib/B.sol";',
    'project/src/lib/B.sol': 'import {\n  C\n} from "../C.sol";\nimport "npm/x.sol";',
    'project/src/C.sol': '',
    // Compiled anew since, against another B.
    'project/src/Stale.sol': 'import {B} from "./lib/B.sol";',
    'npm/x.sol': '',
  });
  build('new', { 'project/src/Stale.sol': "import {Gone} from './Gone.sol';", 'project/src/Gone.sol': '' });
  build('nobody', { 'project/src/A.sol': 'import "./C.sol";', 'project/src/C.sol': '' });
  artifact('src/A.sol/A.json', 'old', 'project/src/A.sol');
  artifact('src/Stale.sol/Stale.json', 'new', 'project/src/Stale.sol');
  const old = ['npm/x.sol', 'project/src/A.sol', 'project/src/C.sol', 'project/src/lib/B.sol'];
  expect(found('project/src/C.sol')).toEqual({ old });
  expect(found('project/src/Gone.sol')).toEqual({ new: ['project/src/Gone.sol', 'project/src/Stale.sol'] });
  expect(Object.keys(found('project/src/C.sol', 'project/src/Stale.sol')).sort()).toEqual(['new', 'old']);
});

test('only those that need what has changed, and no tests that draw their inputs', () => {
  build('one', {
    'project/src/A.sol': 'import "./C.sol";',
    'project/src/B.sol': '',
    'project/src/C.sol': '',
    'project/test/fuzz/A.t.sol': 'import "../../src/A.sol";',
  });
  build('other', { 'project/test/fuzz/A.t.sol': 'import "../../src/C.sol";', 'project/src/C.sol': '' });
  artifact('src/A.sol/A.json', 'one', 'project/src/A.sol');
  artifact('src/B.sol/B.json', 'one', 'project/src/B.sol');
  artifact('test/fuzz/A.t.sol/A.json', 'other', 'project/test/fuzz/A.t.sol');
  expect(found('project/src/C.sol')).toEqual({ one: ['project/src/A.sol', 'project/src/C.sol'] });
  expect(found('project/src/Nothing.sol')).toEqual({});
});
