// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPaymentsTypes} from "./IPayments.sol";

/// @title ClaimCalldata
/// @notice Fields of a claim without the checks that were made before: a claim reads them for each channel.
library ClaimCalldata {
    /// @dev Warning: the index must be below the length.
    function at(
        IPaymentsTypes.ChannelClaim[] calldata channels,
        uint256 index
    ) internal pure returns (IPaymentsTypes.ChannelClaim calldata shown) {
        assembly ("memory-safe") {
            shown := add(channels.offset, mul(index, 0xe0))
        }
    }

    /// @dev Warning: only after {PaymentRecords.channelIdOf}, which refuses what is no address.
    function payerKey(IPaymentsTypes.ChannelClaim calldata shown) internal pure returns (address key) {
        assembly ("memory-safe") {
            key := calldataload(add(shown, 0x20))
        }
    }

    /// @dev Warning: only after {PaymentRecords.channelIdOf}, which refuses what is no address.
    function gateway(IPaymentsTypes.ChannelClaim calldata shown) internal pure returns (address through) {
        assembly ("memory-safe") {
            through := calldataload(add(shown, 0x40))
        }
    }

    /// @dev Refuses more than 128 bits, as the ABI's decoder does.
    function maxClaimableAmount(IPaymentsTypes.ChannelClaim calldata shown) internal pure returns (uint256 amount) {
        assembly ("memory-safe") {
            amount := calldataload(add(shown, 0x80))
            if shr(128, amount) { revert(0, 0) }
        }
    }

    /// @notice A statement's total of a channel: 16 bytes.
    /// @dev Warning: there must be so many totals.
    function totalAt(bytes calldata totals, uint256 index) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            total := shr(128, calldataload(add(totals.offset, shl(4, index))))
        }
    }
}
