import { createRequire } from 'node:module';
import { inRoot } from './paths.ts';
import { ScriptError } from './scriptError.ts';
import type { SolidityNode } from './soliditySites.ts';

/** What is used of the JSON that solc takes. */
export type CompilerInput = {
  readonly language: string;
  readonly sources: Readonly<Record<string, { readonly content: string }>>;
  readonly settings: Readonly<Record<string, unknown>>;
};

/** The bytecode of one contract, without `0x`. */
export type Bytecode = { readonly creation: string; readonly deployed: string };

type Output = {
  readonly errors?: readonly { readonly severity: string; readonly formattedMessage: string }[];
  readonly sources?: Readonly<Record<string, { readonly ast: SolidityNode }>>;
  readonly contracts?: Readonly<Record<string, Readonly<Record<string, OutputContract>>>>;
};
type OutputContract = {
  readonly evm: {
    readonly bytecode: { readonly object: string };
    readonly deployedBytecode: { readonly object: string };
  };
};

/** The syntax tree of a source, by itself: what it imports is not looked at. Throws SCRIPT_STEP_FAILED. */
export function parseSolidity(name: string, content: string): SolidityNode {
  const settings = { stopAfter: 'parsing', outputSelection: { '*': { '': ['ast'] } } };
  const ast = compile({ language: 'Solidity', sources: { [name]: { content } }, settings }).sources?.[name]?.ast;
  if (ast === undefined) throw failed(`solc gave no syntax tree of ${name}`);
  return ast;
}

/** Compiles with the settings of the input. Answers the contracts by `source:name`. Throws SCRIPT_STEP_FAILED. */
export function compileSolidity(input: CompilerInput): ReadonlyMap<string, Bytecode> {
  const outputSelection = { '*': { '*': ['evm.bytecode.object', 'evm.deployedBytecode.object'] } };
  const { contracts = {} } = compile({ ...input, settings: { ...input.settings, outputSelection } });
  return new Map(
    Object.entries(contracts).flatMap(([source, named]) =>
      Object.entries(named).map(([name, { evm }]) => [
        `${source}:${name}`,
        { creation: evm.bytecode.object, deployed: evm.deployedBytecode.object },
      ]),
    ),
  );
}

let loaded: { compile(input: string): string } | undefined;

function compile(input: CompilerInput): Output {
  loaded ??= createRequire(inRoot('contracts/package.json'))('solc') as { compile(input: string): string };
  const output = JSON.parse(loaded.compile(JSON.stringify(input))) as Output;
  const errors = (output.errors ?? []).filter(({ severity }) => severity === 'error');
  if (errors.length > 0) throw failed(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  return output;
}

function failed(message: string): ScriptError {
  return new ScriptError({ code: 'SCRIPT_STEP_FAILED', message });
}
