import { instrument, type Wrap } from './mutationSites.ts';
import { firstSwitch, mutantFunction } from './soliditySites.ts';

/** Where the functions lie that instrumented Solidity calls. */
export const mutantSource = 'mutants/Mutants.sol';
/** With this bit in the balance of its switch a mutant tells when it is reached. */
export const reportingBit = 128n;

/** Where EDR hears of what was reached, as of its own coverage. */
const coverageAddress = '0xc0bEc0BEc0BeC0bEC0beC0bEC0bEC0beC0beC0BE';

/** With less gas than this a call remembers nothing of what it told. */
const memoryGas = 1_500_000;

const bound = (name: string, operator: string, moved: string) =>
  ['uint256', 'bytes32', 'address'].map(
    (type) => `
function ${mutantFunction}${name}(uint256 id, ${type} a, ${type} b) view returns (bool) {
    return ${mutantFunction}(id) ? a ${moved} b : a ${operator} b;
}`,
  );

/**
 * Which mutants are awake stands in balances of accounts that nobody uses: tests can set them on any chain at any time,
 * contracts that they have deployed before included, and what is asked costs little.
 */
export const mutantFunctions = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.0;

function ${mutantFunction}(uint256 id) view returns (bool yes) {
    assembly ("memory-safe") {
        let awake := balance(add(0x${firstSwitch.toString(16)}, shr(7, id)))
        yes := and(shr(and(id, 0x7f), awake), 1)
        if shr(${reportingBit}, awake) {
            // Once in each call, or loops would tell it a million times. No test has so much memory; to have it takes some 600,000 gas,
            // so what was called with less (a bridge's recipient) tells it each time: that gas soon ends a loop.
            let isNew := 1
            if gt(gas(), ${memoryGas}) {
                let told := add(0x80000, shl(5, id))
                isNew := iszero(mload(told))
                mstore(told, 1)
            }
            if isNew {
                mstore(0x00, id)
                pop(staticcall(gas(), ${coverageAddress}, 0x00, 0x20, 0x00, 0x00))
            }
        }
    }
}
${[bound('Below', '<', '<='), bound('AtMost', '<=', '<'), bound('Above', '>', '>='), bound('AtLeast', '>=', '>')].flat().join('\n')}
`;

const imported = ['', 'Below', 'AtMost', 'Above', 'AtLeast'].map((name) => `${mutantFunction}${name}`).join(', ');

/** The source with all its mutants in it, each asleep. To be compiled with everything else as {@link withoutPure}. */
export function instrumentSolidity(source: string, wraps: readonly Wrap[]): string {
  const instrumented = instrument(source, wraps);
  const [pragma = ''] = /^pragma solidity [^;]*;/m.exec(instrumented) ?? [];
  // On the same line, so that what solc says about a line is about that line.
  return instrumented.replace(pragma, `${pragma} import {${imported}} from "${mutantSource}";`);
}

/** Pure functions must not read a balance. Nothing else is different: calls of both kinds are static. */
export function withoutPure(source: string): string {
  return source.replace(/\bpure\b/g, 'view');
}
