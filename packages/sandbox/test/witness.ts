import { expect } from 'vitest';
import type { SandboxDriver, Tenant, Workload } from '../src/index.ts';
import { call, never } from './calls.ts';

/** A tenant that has nothing to do with what goes on beside it, and sees to it that this stays so. */
export class Witness {
  readonly #tenant: Tenant;
  readonly #keepsState: boolean;
  #calls = 0;

  private constructor(tenant: Tenant, keepsState: boolean) {
    this.#tenant = tenant;
    this.#keepsState = keepsState;
  }

  /** @param workload one that counts the calls of its process under `/state`, where the kind keeps any state */
  static async open(driver: SandboxDriver, workload: Workload, keepsState: boolean): Promise<Witness> {
    const witness = new Witness(
      await driver.open({ ...workload, tenant: `0x${'77'.repeat(32)}` }, { signal: never }),
      keepsState,
    );
    await witness.isWell();
    return witness;
  }

  /** Its next call is answered, soon, by the same process, with what that knew before; nothing of others is in its log. */
  async isWell(): Promise<void> {
    this.#calls += 1;
    const { body, outcome } = await call(this.#tenant, '/state');
    expect({ body: body.toString(), status: outcome.status, refused: outcome.refusedHosts }).toEqual({
      body: this.#keepsState ? String(this.#calls) : '1',
      status: 'ok',
      refused: [],
    });
    expect(outcome.metering.wallMs).toBeLessThan(5000);
    expect(this.#tenant.logs()).toEqual([]);
  }

  close(): Promise<void> {
    return this.#tenant.close();
  }
}
