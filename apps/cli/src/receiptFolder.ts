import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describeError, type Json } from '@cloister/core';
import { equivocationFromJson, type KeptEvidence, type ReceiptStore } from '@cloister/sdk';
import { writeFileAtomic } from '@cloister/service';

/** As many as a client compares with. */
const maxKept = 1_024;
const maxEvidence = 1_024;
const evidenceName = /^equivocation-0x[0-9a-f]{40}\.json$/;

/**
 * Receipts of calls from one folder on, and evidence against those who signed two for one place. Several commands may write at once: each
 * adds whole lines. What one adds while another shortens the file can be lost, and is then not compared. Where the folder can't be read or
 * written, calls go on all the same, and it is said once.
 */
export class ReceiptFolder implements ReceiptStore {
  readonly #folder: string;
  readonly #say: (trouble: string) => void;
  #lines = 0;
  #hasSaid = false;

  constructor(folder: string, say: (trouble: string) => void) {
    this.#folder = folder;
    this.#say = say;
  }

  async load(): Promise<{ receipts: readonly unknown[]; evidence: readonly KeptEvidence[] }> {
    const receipts = await this.#receipts();
    this.#lines = receipts.length;
    const names = (await readdir(this.#folder).catch(() => [])).filter((name) => evidenceName.test(name));
    const evidence = await Promise.all(
      names.slice(0, maxEvidence).map(async (name): Promise<readonly KeptEvidence[]> => {
        const keptAt = path.join(this.#folder, name);
        const json = parsed(await readFile(keptAt, 'utf8').catch(() => ''));
        return json === undefined ? [] : [{ json, keptAt }];
      }),
    );
    return { receipts, evidence: evidence.flat() };
  }

  async keep(receipt: Json): Promise<void> {
    await this.#add(receipt).catch((error: unknown) => this.#trouble(error));
  }

  async #add(receipt: Json): Promise<void> {
    if (this.#lines >= 2 * maxKept) await this.#shorten();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    // The break comes first: a line that a killed command left half stays alone.
    await appendFile(this.#file, `\n${JSON.stringify(receipt)}`, { mode: 0o600 });
    this.#lines += 1;
  }

  async keepEvidence(evidence: Json): Promise<string> {
    const { signer } = equivocationFromJson(evidence);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = path.join(this.#folder, `equivocation-${signer}.json`);
    await writeFileAtomic(file, `${JSON.stringify(evidence, null, 2)}\n`, { mode: 0o600 });
    return file;
  }

  get #file(): string {
    return path.join(this.#folder, 'seen.jsonl');
  }

  /** The newest, oldest first, without lines that are none. */
  async #receipts(): Promise<readonly unknown[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') this.#trouble(error);
      return '';
    });
    const lines = text.split('\n').map(parsed);
    return lines.filter((line) => line !== undefined).slice(-2 * maxKept);
  }

  #trouble(error: unknown): void {
    if (!this.#hasSaid) this.#say(`Receipts are not compared with those of other commands: ${describeError(error)}`);
    this.#hasSaid = true;
  }

  async #shorten(): Promise<void> {
    const newest = (await this.#receipts()).slice(-maxKept);
    await writeFileAtomic(this.#file, newest.map((receipt) => `\n${JSON.stringify(receipt)}`).join(''), {
      mode: 0o600,
    });
    this.#lines = newest.length;
  }
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
