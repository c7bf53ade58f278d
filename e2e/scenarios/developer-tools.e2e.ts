import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import type { Scenario } from '../scenario.ts';
import { cloisterJson, runCloister } from '../support/programs.ts';

type Published = { readonly app: string; readonly version: number; readonly published: boolean };
type Failure = { readonly error: { readonly code: string; readonly message: string } };

export const scenario: Scenario = {
  title:
    'A project from a template is deployed by its cloister.json, changed, rolled back to the old answer, and scaled; its state can be seen from outside',
  onlyLong: true,
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    const project = path.join(folder, 'till');
    const json = async <T>(...args: readonly string[]): Promise<T> => {
      const { code, json: answer } = await cloisterJson<T>(args, folder, signal);
      assert.equal(code, 0, `${args.join(' ')}: ${JSON.stringify(answer)}`);
      return answer;
    };
    const fails = async (code: string, ...args: readonly string[]): Promise<string> => {
      const { code: exitCode, json: answer } = await cloisterJson<Failure>(args, folder, signal);
      assert.deepEqual([exitCode, answer.error?.code], [1, code], JSON.stringify(answer));
      return answer.error.message;
    };
    const answers = async (text: string): Promise<void> => {
      const { code, stdout, stderr } = await runCloister(['call', 'till', '/?name=Ada'], folder, signal);
      assert.deepEqual([code, stdout], [0, text], stderr);
    };
    await json('use', network.file);

    note('init, deploy from the folder, call');
    await json('init', 'till', '--template', 'function');
    await fails('INIT_FILE_EXISTS', 'init', 'till', '--template', 'function');
    const first = await json<Published>('deploy', 'till');
    assert.deepEqual([first.version, first.published], [1, true]);
    await answers('Hello, Ada!\n');

    note('edit, with state from now on, and deploy again');
    const file = path.join(project, 'src', 'index.ts');
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace(', $', ' again, $'));
    edit(project, (fields) => ({ ...fields, state: { partitions: 2 }, limits: { wallms: 5_000 } }));
    assert.match(await fails('APP_FILE_INVALID', 'deploy', 'till'), /till\/cloister\.json:\d+:5: "limits\.wallms"/);
    edit(project, (fields) => ({ ...fields, limits: { wallMs: 5_000 } }));
    assert.equal((await json<Published>('deploy', 'till')).version, 2);
    await answers('Hello again, Ada!\n');

    note('what can be known of its state');
    const state = await json<{ partitionCount: number; partitions: { members: { failed?: string }[] }[] }>(
      ...['state', 'till'],
    );
    assert.equal(state.partitionCount, 2);
    for (const { members } of state.partitions)
      assert.deepEqual(
        members.map(({ failed }) => failed),
        Array(4).fill(undefined),
      );

    note('rollback: the old answer');
    const back = await json<Published & { restored: number }>('rollback', 'till');
    assert.deepEqual([back.restored, back.version], [1, 3]);
    await answers('Hello, Ada!\n');
    fs.writeFileSync(path.join(folder, 'stranger'), `0x${'42'.repeat(32)}\n`);
    await fails('APP_NOT_YOURS', 'rollback', first.app, '--key', 'stranger');

    note('scale, and the list of versions');
    const scaled = await json<Published & { replicas: number; before: number }>('scale', 'till', '3');
    assert.deepEqual([scaled.version, scaled.before, scaled.replicas], [4, 2, 3]);
    await answers('Hello, Ada!\n');
    const listed = await json<{ versions: { version: number; state: string; replicas: number }[] }>(
      ...['versions', 'till'],
    );
    assert.deepEqual(
      listed.versions.map(({ version, state: of, replicas }) => [version, of, replicas]),
      [
        [4, 'serving', 3],
        [3, 'superseded', 2],
        [2, 'superseded', 2],
        [1, 'superseded', 2],
      ],
    );
  },
};

function edit(project: string, change: (fields: object) => object): void {
  const file = path.join(project, 'cloister.json');
  fs.writeFileSync(file, JSON.stringify(change(JSON.parse(fs.readFileSync(file, 'utf8'))), null, 2));
}
