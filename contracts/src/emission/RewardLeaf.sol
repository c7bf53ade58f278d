// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title RewardLeaf
/// @notice A pool's reward in the tree of an epoch's rewards.
library RewardLeaf {
    /// @notice H("cloister/reward: v1", epoch, operator, amount). The chain is named by the record that holds the root.
    function hash(uint64 epoch, address operator, uint256 amount) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/reward: v1", epoch, operator, amount));
    }
}
