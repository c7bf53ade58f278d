// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStakePools} from "../../src/staking/IStakePools.sol";

/// @notice Bonds and seizures of any size by anyone, which it holds itself.
contract UnsafeBondsHarness {
    IStakePools public immutable pools;

    constructor(IStakePools pools_) {
        pools = pools_;
        pools_.token().approve(address(pools_), type(uint256).max);
    }

    function reserve(address pool, uint256 amount) external {
        pools.reserve(pool, amount);
    }

    function release(address pool, uint256 amount) external {
        pools.release(pool, amount);
    }

    function seize(address pool, uint256 amount) external returns (uint256 seizureId, uint256 moved) {
        return pools.seize(pool, amount, address(this));
    }

    function settle(uint256 seizureId) external {
        pools.settle(seizureId);
    }

    function restore(uint256 seizureId) external {
        pools.restore(seizureId);
    }
}
