// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IBond
/// @notice What an operator has at stake for its gatekeeper.
interface IBond {
    /// @notice What can be lost now, in the token's smallest unit: nothing that is on its way out counts.
    function bondOf(address operator) external view returns (uint256 amount);
}
