// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BlobHarness} from "../harness/BlobHarness.sol";

contract RevocationListFuzzTest {
    BlobHarness private _harness;

    function setUp() external {
        _harness = new BlobHarness();
    }

    /// @notice A list holds what was put into it, ascending and once, and nothing else.
    function testFuzz_holdsWhatWasInserted(bytes16[] memory tags, bytes16 other, uint8 spread) external view {
        // Some more than once.
        for (uint256 index = 0; index < tags.length; ++index) {
            if (spread % 3 == 0) tags[index] &= bytes16(uint128(0x0f) << 120);
        }
        bytes memory list = _harness.listOf(tags);
        bool known;
        for (uint256 index = 0; index < tags.length; ++index) {
            assert(_harness.contains(list, tags[index]));
            known = known || tags[index] == other;
        }
        assert(_harness.contains(list, other) == known);
        assert(list.length % 16 == 0);
        for (uint256 place = 16; place < list.length; place += 16) {
            bytes16 before;
            bytes16 tag;
            assembly ("memory-safe") {
                before := mload(add(add(list, 0x10), place))
                tag := mload(add(add(list, 0x20), place))
            }
            assert(uint128(before) < uint128(tag));
        }
    }

    function testFuzz_blobsComeBack(bytes calldata data) external {
        address blob = _harness.write(data);
        assert(keccak256(_harness.read(blob)) == keccak256(data));
        assert(_harness.holds(blob, data));
        assert(!_harness.holds(blob, bytes.concat(data, hex"00")));
    }
}
