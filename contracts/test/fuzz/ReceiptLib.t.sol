// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt} from "../../src/receipts/ReceiptLib.sol";
import {VectorHarness} from "../harness/VectorHarness.sol";
import {bound, vm} from "./Vm.sol";

contract ReceiptLibFuzzTest {
    uint256 private constant CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    VectorHarness private _harness;

    function setUp() external {
        _harness = new VectorHarness();
    }

    /// @notice Two receipts have one digest only if they are the same.
    function testFuzz_digestTellsReceiptsApart(
        Receipt calldata a,
        Receipt calldata b,
        bytes32 separator
    ) external view {
        bool same = keccak256(abi.encode(a)) == keccak256(abi.encode(b));
        assert((_harness.receiptDigest(a, separator) == _harness.receiptDigest(b, separator)) == same);
    }

    /// @notice The signer comes back; under another domain somebody else does; the mirrored signature is refused.
    function testFuzz_recover(
        Receipt calldata receipt,
        uint256 key,
        bytes32 separator,
        bytes32 otherSeparator
    ) external view {
        vm.assume(separator != otherSeparator);
        key = bound(key, 1, CURVE_ORDER - 1);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _harness.receiptDigest(receipt, separator));
        bytes memory signature = abi.encodePacked(r, s, v);
        assert(_harness.recoverReceipt(receipt, signature, separator) == vm.addr(key));
        try _harness.recoverReceipt(receipt, signature, otherSeparator) returns (address signer) {
            assert(signer != vm.addr(key));
        } catch {}
        bytes memory mirrored = abi.encodePacked(r, bytes32(CURVE_ORDER - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        (bool ok,) = address(_harness).staticcall(
            abi.encodeCall(_harness.recoverReceipt, (receipt, mirrored, separator))
        );
        assert(!ok);
    }
}
