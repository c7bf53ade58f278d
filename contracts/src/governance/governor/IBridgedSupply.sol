// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IBridgedSupply
/// @notice How much PHA is out on other chains: what a bridge tells governance, whose quorums go by all PHA there is.
interface IBridgedSupply {
    /// @notice PHA that was out at a past moment (unix seconds), in its smallest unit.
    function bridgedOutAt(uint256 timepoint) external view returns (uint256);
}
