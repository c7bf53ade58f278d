// First step of every npm command of this repository. Plain JavaScript for Node.js 18 and later, without dependencies:
// it installs the one Node.js release that Cloister runs on from its own lock file, then the project's dependencies
// under that release, then hands over. Safe to interrupt, and safe to start twice at once.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const toolchain = path.join(root, '.toolchain');
const toolchainSource = path.join(root, 'scripts', 'toolchain');
const lockDir = path.join(root, '.bootstrap.lock');
const modulesStamp = path.join(root, 'node_modules', '.cloister-stamp');
const minFreeBytes = 1_500_000_000;

/** The commands of package.json and what each runs under the project's Node.js. */
const commands = {
  start: ['apps/devnet/src/main.ts'],
  test: ['scripts/test.ts'],
  'test:long': ['scripts/test.ts', '--long'],
  check: ['scripts/check.ts'],
  format: ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.'],
  image: ['scripts/image.ts'],
  contracts: ['scripts/contracts.ts', 'generate'],
  gas: ['scripts/contracts.ts', 'gas'],
  bench: ['scripts/bench.ts'],
  e2e: ['scripts/e2e.ts'],
  mutate: ['scripts/mutate.ts'],
  pack: ['scripts/pack.ts'],
  engines: ['scripts/engines.ts'],
  install: null,
};

const [command, ...args] = process.argv.slice(2);
if (!(command in commands)) fail(`unknown command "${command}"`, `choose one of ${Object.keys(commands).join(', ')}`);

const node = await withLock(async () => {
  const binary = await ensureNode();
  await ensureModules(binary);
  return binary;
});
if (commands[command] !== null) process.exitCode = await handOver(node, [...commands[command], ...args]);

/** Installs the pinned Node.js unless it is there, and answers its path. */
async function ensureNode() {
  const major = Number(process.versions.node.split('.')[0]);
  const packaged = path.join(toolchain, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
  const wanted = fileHash(path.join(toolchainSource, 'package-lock.json'));
  if (readOr(path.join(toolchain, 'stamp')) === wanted && fs.existsSync(packaged)) return packaged;
  const pinned = JSON.parse(fs.readFileSync(path.join(toolchainSource, 'package.json'), 'utf8')).optionalDependencies;
  const name = `node-${process.platform}-${process.arch}`;
  if (!(name in pinned)) {
    if (major === 24) return process.execPath;
    fail(
      `no Node.js 24 for ${process.platform} ${process.arch} can be installed from npm, and this is ${process.versions.node}`,
      'install Node.js 24 and run the same command with it',
    );
  }
  needSpace();
  const staging = `${toolchain}.new`;
  fs.rmSync(staging, { recursive: true, force: true });
  fs.mkdirSync(staging, { recursive: true });
  for (const file of ['package.json', 'package-lock.json'])
    fs.copyFileSync(path.join(toolchainSource, file), path.join(staging, file));
  await step(`installing Node.js ${pinned[name]} for this folder (190 MB, once)`, process.execPath, npmCi(), staging);
  fs.writeFileSync(path.join(staging, 'stamp'), wanted);
  fs.rmSync(toolchain, { recursive: true, force: true });
  fs.renameSync(staging, toolchain);
  return packaged;
}

/** Runs `npm ci` under the project's Node.js when the lock file is newer than what is installed. */
async function ensureModules(binary) {
  const wanted = `${fileHash(path.join(root, 'package-lock.json'))} ${fileHash(path.join(toolchainSource, 'package-lock.json'))}`;
  if (readOr(modulesStamp) === wanted) return;
  needSpace();
  fs.rmSync(modulesStamp, { force: true });
  await step('installing dependencies (about 500 MB, once)', binary, npmCi(), root);
  fs.writeFileSync(modulesStamp, wanted);
}

function npmCi() {
  const found = npmCli();
  if (found === undefined) fail('npm was not found', 'start this through npm, as the README shows');
  return [found, 'ci', '--no-audit', '--no-fund', '--loglevel=error'];
}

/** npm's own program file: the npm that started us, or the first one on the PATH. */
function npmCli() {
  const onPath = (process.env.PATH ?? '').split(path.delimiter).flatMap((folder) => {
    try {
      return [fs.realpathSync(path.join(folder, 'npm'))];
    } catch {
      return [];
    }
  });
  return [process.env.npm_execpath, ...onPath].find((file) => file?.endsWith('npm-cli.js') && fs.existsSync(file));
}

/** Runs one installation step: one line when it starts, the seconds while it runs on a terminal, one line at its end. */
function step(title, binary, argv, cwd) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  const out = process.stderr;
  out.write(`cloister: ${title}…${out.isTTY ? '' : '\n'}`);
  const ticker = out.isTTY ? setInterval(() => out.write(`\r\x1b[Kcloister: ${title}… ${seconds()}`), 1000) : undefined;
  return new Promise((resolve) => {
    let tail = '';
    const child = spawn(binary, argv, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PATH: `${path.dirname(binary)}${path.delimiter}${process.env.PATH}`,
        // Native engines that are only needed by heavy workspaces must not download anything here.
        ONNXRUNTIME_NODE_INSTALL: 'skip',
        ONNXRUNTIME_NODE_INSTALL_CUDA: 'skip',
      },
    });
    const keep = (chunk) => {
      tail = (tail + chunk).slice(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const stop = () => child.kill('SIGTERM');
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    child.on('error', (error) => {
      tail += error.message;
    });
    child.on('close', (code, signal) => {
      clearInterval(ticker);
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      if (out.isTTY) out.write('\r\x1b[K');
      if (code !== 0) {
        out.write(`${tail.trim()}\n`);
        fail(`${title} failed (${signal ?? `exit ${code}`})`, 'see the lines above; the same command starts it again');
      }
      out.write(`cloister: ${title}: done in ${seconds()}\n`);
      resolve();
    });
  });
}

/** One installer at a time in this folder: others wait for it; a lock whose owner is gone is taken over. */
async function withLock(work) {
  let told = false;
  for (;;) {
    try {
      fs.mkdirSync(lockDir);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST')
        fail(`can't write in "${root}" (${error.code})`, 'check its permissions and free space');
      const owner = Number(readOr(path.join(lockDir, 'pid')));
      const fresh = ageMs(lockDir) < 5_000;
      if (owner > 0 ? !alive(owner) : !fresh) {
        takeOver();
        continue;
      }
      if (!told && owner !== process.pid)
        process.stderr.write(`cloister: another start is installing here (process ${owner}), waiting…\n`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  const release = () => fs.rmSync(lockDir, { recursive: true, force: true });
  try {
    fs.writeFileSync(path.join(lockDir, 'pid'), String(process.pid));
    process.once('exit', release);
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/** Removes a lock whose owner is gone. Only the one that makes the guard may, and it looks again before it does. */
function takeOver() {
  const guard = `${lockDir}.takeover`;
  try {
    fs.mkdirSync(guard);
  } catch {
    if (ageMs(guard) > 10_000) fs.rmSync(guard, { recursive: true, force: true });
    return;
  }
  try {
    const owner = Number(readOr(path.join(lockDir, 'pid')));
    if (owner > 0 ? !alive(owner) : ageMs(lockDir) >= 5_000) fs.rmSync(lockDir, { recursive: true, force: true });
  } finally {
    fs.rmSync(guard, { recursive: true, force: true });
  }
}

/** Starts the real command; signals go to it, its exit code becomes ours. */
function handOver(binary, argv) {
  return new Promise((resolve) => {
    const child = spawn(binary, argv, {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        PATH: `${path.dirname(binary)}${path.delimiter}${path.join(root, 'node_modules', '.bin')}${path.delimiter}${process.env.PATH}`,
        CLOISTER_NPM_CLI: npmCli() ?? '',
      },
    });
    // A terminal sends Ctrl-C to the whole group; whoever sends it to us alone means the child too.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.on('error', (error) =>
      fail(`can't run "${binary}" (${error.message})`, 'remove the folder .toolchain and start again'),
    );
    child.on('close', (code, signal) => resolve(signal ? 128 + 15 : code));
  });
}

function needSpace() {
  if (typeof fs.statfsSync !== 'function') return;
  const { bavail, bsize } = fs.statfsSync(root);
  if (bavail * bsize < minFreeBytes)
    fail(
      `only ${Math.round((bavail * bsize) / 1e6)} MB are free in "${root}"`,
      `free ${minFreeBytes / 1e6} MB and start again`,
    );
}

function fileHash(file) {
  return createHash('sha256').update(fs.readFileSync(file)).digest('hex');
}

function readOr(file) {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function ageMs(file) {
  try {
    return Date.now() - fs.statSync(file).mtimeMs;
  } catch {
    return 0;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function fail(what, hint) {
  process.stderr.write(`cloister: ${what}; ${hint}\n`);
  process.exit(1);
}
