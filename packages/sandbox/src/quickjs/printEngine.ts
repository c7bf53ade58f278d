// Prints the engine of deterministic functions with the walls in it, and its memory once the world of functions is made, as a
// message (wasmData.ts) whose head is an EngineHead. Arguments: its file, and the memory that it may have, in bytes. Run by the
// driver, as a process of its own.
import { readFileSync, writeSync } from 'node:fs';
import { confineModule } from '../wasm/meter/confineModule.ts';
import { message } from '../wasm/wasmData.ts';
import { beginWorld } from './host/appRun.ts';
import type { EngineHead } from './host/engineImage.ts';

const [file = '', memoryBytes = ''] = process.argv.slice(2);
const options = { memoryBytes: Number(memoryBytes), fuel: Number.MAX_SAFE_INTEGER, deterministic: true };
const engine = confineModule(new Uint8Array(readFileSync(file)), options) as Uint8Array<ArrayBuffer>;
const { snapshot, entry } = beginWorld(await WebAssembly.compile(engine));
const { memory, ...registers } = snapshot;
const head: EngineHead = { ...registers, entry, engineBytes: engine.length, worldBytes: memory.length };
let rest = message(head, Buffer.concat([engine, memory]));
while (rest.length > 0) rest = rest.subarray(writeSync(1, rest));
