// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TransferWindow} from "../../src/bridge/TransferWindow.sol";
import {bound, vm} from "./Vm.sol";

contract TransferWindowFuzzTest {
    using TransferWindow for TransferWindow.Bucket;

    TransferWindow.Bucket private _bucket;

    /// @notice Whoever takes all there is, whenever: no interval as long as a window lets more than one limit through, and
    /// after a window without any half a limit is there again.
    function testFuzz_anyWindow(uint128 limitSeed, uint32[24] calldata waits, uint128[24] calldata amounts) external {
        uint256 limit = bound(limitSeed, 0, 10_000_000e18);
        uint256[24] memory times;
        uint256[24] memory taken;
        uint256 time = 1_800_000_000;
        for (uint256 i = 0; i < waits.length; ++i) {
            time += bound(waits[i], 0, waits[i] % 7 == 0 ? 2 days : 6 hours);
            vm.warp(time);
            uint256 room = _bucket.room(limit);
            assert(room <= limit / 2);
            uint256 amount = amounts[i] % 3 == 0 ? bound(amounts[i], 0, room) : room;
            _bucket.take(limit, amount);
            assert(_bucket.room(limit) == room - amount);
            (times[i], taken[i]) = (time, amount);
            uint256 through;
            for (uint256 j = 0; j <= i; ++j) {
                if (times[j] + TransferWindow.SECONDS >= time) through += taken[j];
            }
            assert(through <= limit);
        }
        vm.warp(time + TransferWindow.SECONDS);
        assert(_bucket.room(limit) == limit / 2);
    }

    /// @notice However often it is touched, what drains in a window is half the limit but for a unit at each touch.
    function testFuzz_touched(uint128 limitSeed, uint8 touches) external {
        uint256 limit = bound(limitSeed, 2, 10_000_000e18);
        uint256 time = 1_800_000_000;
        vm.warp(time);
        _bucket.take(limit, _bucket.room(limit));
        assert(_bucket.room(limit) == 0);
        uint256 count = uint256(touches) + 1;
        for (uint256 i = 1; i <= count; ++i) {
            vm.warp(time + TransferWindow.SECONDS * i / count);
            _bucket.take(limit, 0);
        }
        assert(_bucket.room(limit) + count >= limit / 2);
    }
}
