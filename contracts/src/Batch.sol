// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Batch
/// @notice Makes several calls in one transaction, all or none: new collateral together with the evictions that follow.
/// @dev Holds nothing and may do nothing of its own: what it calls sees the batch as caller, so it serves only functions
/// that are anyone's.
contract Batch {
    struct Call {
        address target;
        bytes data;
    }

    /// @notice A call failed without an error of its own.
    error BatchCallFailed(uint256 index, address target);
    error BatchTargetWithoutCode(uint256 index, address target);

    /// @notice Makes the calls in order. An error of one passes through, and nothing of the others stays.
    function execute(Call[] calldata calls) external {
        for (uint256 i = 0; i < calls.length; i++) {
            address target = calls[i].target;
            if (target.code.length == 0) revert BatchTargetWithoutCode(i, target);
            (bool done, bytes memory answer) = target.call(calls[i].data);
            if (done) continue;
            if (answer.length == 0) revert BatchCallFailed(i, target);
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}
