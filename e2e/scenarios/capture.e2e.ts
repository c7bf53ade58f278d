import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createClient } from '@cloister/sdk';
import { scoreCreditFile } from '../../examples/credit-score/score.ts';
import type { Scenario } from '../scenario.ts';
import { startApp } from '../support/appProcess.ts';
import { textOf } from '../support/apps.ts';
import { conspicuousFile, creditRequest, deployCreditScore, newBorrower } from '../support/creditScore.ts';
import { leaksIn, leaksInFolder, writtenForms } from '../support/leaks.ts';
import { allowNetworkFile, startWorker } from '../support/privateWorker.ts';
import { verifiedWorker } from '../support/rawCalls.ts';
import { Recorder } from '../support/recorder.ts';

export const scenario: Scenario = {
  title: 'Nothing of an applicant, and nothing of the score, is in anything that passed a gateway or lies on a disk',
  async run({ network: start, folder, signal, note }) {
    const network = await start();
    // A gateway of its own: every client and every worker reaches it through the recorder alone.
    const recorder = await Recorder.start();
    const networkFile = path.join(folder, 'network.json');
    const own = await allowNetworkFile(network, networkFile, [recorder.url]);
    const gateway = await startApp('gateway', {
      folder,
      signal,
      config: {
        listen: { host: '127.0.0.1', port: 0 },
        publicUrl: recorder.url,
        dataDir: path.join(folder, 'gateway'),
        networkFile,
      },
    });
    recorder.forwardTo(String(gateway.ready.url));
    const worker = await startWorker(network, { folder, signal, networkFile });
    try {
      const watched = { ...network, network: own };
      const client = createClient({ network: own });
      await verifiedWorker(client, String(worker.ready.workerId));
      const { issuer, deployed } = await deployCreditScore(watched, 'captured-credit-score');
      const borrower = await newBorrower(network);
      const file = conspicuousFile(borrower.address);
      const signed = await issuer.sign(file);

      note('the applicant asks for report and decision, and is refused with an edited file');
      const asked = creditRequest(signed, '/report');
      const report = await client.call(deployed.app, {
        ...asked,
        path: '/report?ref=conspicuous-query-41c8',
        headers: [...(asked.headers ?? []), ['x-note', 'conspicuous-header-93e0']],
      });
      const decision = await client.call(deployed.app, creditRequest(signed, '/decision'));
      const edited = { ...signed, statement: signed.statement.replace('918273645546', '918273645547') };
      const refusal = await client.call(deployed.app, creditRequest(edited, '/report'));
      assert.deepEqual([report.outcome, decision.outcome, refusal.outcome], ['ok', 'ok', 'refused']);
      const { score, limit } = scoreCreditFile(file);
      assert.deepEqual(JSON.parse(textOf(report)), { applicant: borrower.address, score, approved: true, limit });

      const secrets = {
        issuer: file.issuer,
        applicant: borrower.address,
        'applicant without 0x': borrower.address.slice(2),
        income: String(file.monthlyIncome),
        debt: String(file.monthlyDebtService),
        'first limit': String(file.accounts[0]?.limit),
        'second balance': String(file.accounts[1]?.balance),
        'field names': '"monthlyIncome":',
        signature: signed.signature,
        score: `"score":${score},`,
        decision: decision.body,
        'limit in the report': `"limit":${limit}}`,
        refusal: textOf(refusal),
        query: 'conspicuous-query-41c8',
        header: 'conspicuous-header-93e0',
      };
      // The search finds what is there: in the clear each of these stands in the calls themselves.
      const clear = Buffer.concat([
        Buffer.from(`${signed.statement}${signed.signature}${secrets.query}${secrets.header}`),
        ...[report, decision, refusal].map(({ body }) => body),
      ]);
      for (const [name, secret] of Object.entries(secrets))
        assert.ok(leaksIn(clear, { [name]: secret }).length > 0, `the search does not find ${name}`);

      note('everything that passed the gateway, of clients and of workers');
      const passed = recorder.bytes();
      assert.deepEqual(leaksIn(passed, secrets), []);
      for (const [name, text] of Object.entries({
        'the public code': 'The file does not carry its issuer',
        'the public manifest': issuer.publicKey,
        'the sealed calls': 'content-type: message/cloister-req',
        "the worker's connection": '"type":"hello"',
        'its announcement': '"type":"announce"',
        'its id, in the frames': String(worker.ready.workerId),
      }))
        assert.ok(writtenFormIn(passed, text), `the recorder did not see ${name}`);
      assert.ok(passed.length > 20_000, `only ${passed.length} bytes passed`);

      note('what gateway, workers and launcher wrote');
      assert.deepEqual(leaksIn(Buffer.from(gateway.log() + worker.log() + network.log()), secrets), []);
      for (const place of [folder, network.data]) {
        const { leaks, files } = leaksInFolder(place, secrets, (name) => name === 'chain.json');
        assert.deepEqual(leaks, []);
        assert.ok(files > 3, `only ${files} files of ${place} were searched`);
      }

      note('what stays in the memory of the gateway');
      const memory = memoryOf(gateway.pid);
      assert.ok(memory.length === 0 || memory.includes(recorder.url), 'the search of the memory finds nothing at all');
      for (const plain of [String(file.monthlyIncome), String(file.accounts[0]?.limit), signed.signature])
        assert.ok(!memory.includes(plain), `the memory of the gateway holds "${plain}"`);
    } finally {
      await worker.stop();
      await gateway.stop();
      await recorder.stop();
    }
  },
};

function writtenFormIn(bytes: Buffer, text: string): boolean {
  return [...writtenForms(text).values()].some((form) => bytes.includes(form));
}

/** What a process has written into its memory, where this system shows it; nothing elsewhere. */
function memoryOf(pid: number): Buffer {
  if (!fs.existsSync('/proc/self/maps')) return Buffer.alloc(0);
  const parts: Buffer[] = [];
  const memory = fs.openSync(`/proc/${pid}/mem`, 'r');
  try {
    for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from = '', to = '', access = ''] = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line) ?? [];
      if (!access.startsWith('rw')) continue;
      const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)];
      const part = Buffer.alloc(Math.min(end - start, 64 * 1024 * 1024));
      try {
        parts.push(part.subarray(0, fs.readSync(memory, part, 0, part.length, start)));
      } catch {
        // Pages that nobody may read.
      }
    }
  } finally {
    fs.closeSync(memory);
  }
  return Buffer.concat(parts);
}
