// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IFeeSink
/// @notice Where an operator's earnings go: to its pool, which shares them with its backers.
interface IFeeSink {
    /// @notice Whether this operator's earnings are taken here; where not, whoever owes them pays the operator itself.
    function hasPool(address operator) external view returns (bool);

    /// @notice Takes exactly `amount` of the caller's PHA, by its allowance, as earnings of the operator's pool.
    function addFees(address operator, uint256 amount) external;
}
