// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IBridgeSender
/// @notice A contract that sends messages and takes back what went with those that never arrived.
interface IBridgeSender {
    /// @notice A message that this contract sent is void on its destination, for ever. By the bridge, once for each.
    function messageVoided(bytes32 id, bytes calldata payload) external;
}
