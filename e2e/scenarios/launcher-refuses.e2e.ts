import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { contractsHash } from '@cloister/chain';
import { dataVersion } from '../../apps/devnet/src/dataFolder.ts';
import type { Scenario } from '../scenario.ts';
import { launcherWords, runLauncher } from '../support/programs.ts';

export const scenario: Scenario = {
  title: 'A folder or port that the launcher can not use stops it with one clear line, and nothing is deleted unasked',
  onlyLong: true,
  async run({ folder, note, signal }) {
    const data = path.join(folder, 'network');
    fs.mkdirSync(data);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const state = { dataVersion, contractsHash, genesis: 1, ports: { rpc: port, gateway: port }, imageId: null };
    const account = { address: `0x${'11'.repeat(20)}`, privateKey: `0x${'11'.repeat(32)}` };
    const accounts = {
      deployer: account,
      operators: [account],
      gatekeepers: [account],
      gateway: account,
      developer: account,
    };
    const keep = (change: object) =>
      fs.writeFileSync(path.join(data, 'devnet.json'), JSON.stringify({ ...state, accounts, ...change }));
    fs.writeFileSync(path.join(data, 'chain.json'), 'the state of a chain');
    fs.writeFileSync(path.join(data, 'notes.txt'), 'of the user');
    const before = () => fs.readdirSync(data).sort();
    const refuses = async (code: string, ...words: readonly RegExp[]): Promise<void> => {
      const files = before();
      const content = files.map((name) => fs.readFileSync(path.join(data, name), 'utf8'));
      const { code: exitCode, error } = await runLauncher(['--data', data], signal);
      assert.deepEqual([exitCode, error?.code], [1, code], error?.message);
      for (const word of words) assert.match(`${error?.message}. ${error?.hint}`, word);
      assert.deepEqual(before(), files, 'a file is gone, or new');
      assert.deepEqual(
        files.map((name) => fs.readFileSync(path.join(data, name), 'utf8')),
        content,
      );
    };

    try {
      note('a taken port');
      keep({});
      await refuses('PORT_TAKEN', new RegExp(`"${port}"`), /EADDRINUSE/, /--data/);
      const line = (await launcherWords(['--data', data], signal)).trim();
      assert.match(line, /^cloister: Port "\d+" .*$/);
      assert.ok(!line.includes('\n'), line);
    } finally {
      await new Promise<void>((resolve) => taken.close(() => resolve()));
    }
    note('a folder of another data version');
    keep({ dataVersion: 0 });
    await refuses('DATA_OTHER_VERSION', new RegExp(`"0".*"${dataVersion}"`), /--reset/, /--data/);
    note('a folder of other contracts');
    const other = `0x${'ab'.repeat(32)}`;
    keep({ contractsHash: other });
    await refuses(
      'DATA_OTHER_CONTRACTS',
      new RegExp(other.slice(0, 14)),
      new RegExp(contractsHash.slice(0, 14)),
      /--reset/,
    );
    note('a damaged folder');
    fs.writeFileSync(path.join(data, 'devnet.json'), `{"dataVersion":${dataVersion},`);
    await refuses('DATA_UNREADABLE', /damaged/, /--reset/);
    note("somebody else's folder");
    fs.rmSync(path.join(data, 'devnet.json'));
    await refuses('DATA_NOT_OURS', /other files/, /--data/);

    note('a command line that means nothing');
    const senseless = [
      ['OPTION_UNKNOWN', '--bogus'],
      ['OPTION_INVALID', '--workers', '99'],
      ['OPTION_INVALID', '--workers', 'many'],
    ] as const;
    const runs = senseless.map(([code, ...args]) => runLauncher(args, signal).then((run) => ({ code, run })));
    for (const { code, run } of await Promise.all(runs)) assert.deepEqual([run.code, run.error?.code], [1, code]);

    note(
      '--reset begins anew, removes nothing but its own, and with --once the first call is made and everything ends',
    );
    keep({ dataVersion: 0 });
    const anew = await runLauncher(['--data', data, '--reset', '--once', '--workers', '1'], signal);
    assert.equal(anew.code, 0, JSON.stringify(anew.steps.filter(({ ok }) => ok === false)));
    const done = new Map(anew.steps.map((step) => [step.step, step]));
    for (const step of [
      ...['deploy', 'call', 'proof-evidence', 'proof-image', 'proof-binding', 'proof-key', 'proof-receipt-signature'],
      ...['contract-refuses', 'contract-accepts', 'contract-once', 'same-score', 'forged-file'],
    ])
      assert.equal(done.get(step)?.ok, true, step);
    assert.deepEqual([done.get('ready')?.verified, anew.steps.at(-1)?.step], [true, 'stopped']);
    assert.equal(fs.readFileSync(path.join(data, 'notes.txt'), 'utf8'), 'of the user');
    assert.equal(JSON.parse(fs.readFileSync(path.join(data, 'devnet.json'), 'utf8')).dataVersion, dataVersion);
    assert.notEqual(fs.readFileSync(path.join(data, 'chain.json'), 'utf8'), 'the state of a chain');
  },
};
