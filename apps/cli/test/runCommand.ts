import { Command } from 'commander';
import { vi } from 'vitest';

export type Ran = { readonly out: string; readonly err: string; readonly exitCode: number; readonly error: unknown };

/** Runs commands that `register` adds in this process, as `main.ts` would, and gives what they printed and threw. */
export async function runCommand(register: (program: Command) => void, argv: readonly string[]): Promise<Ran> {
  const program = new Command('cloister').option('--json').option('--network <file>').option('--key <file>');
  program.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  register(program);
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
  const text = { out: '', err: '' };
  const spies = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk) => {
      text[stream === 'stdout' ? 'out' : 'err'] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    }),
  );
  let error: unknown;
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (thrown) {
    error = thrown;
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  const exitCode = Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { ...text, exitCode, error };
}
