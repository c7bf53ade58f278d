// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelBalance} from "./ChannelBalances.sol";

/// @notice A stored balance. As a struct, so that its slot is found once to read and to write it.
struct KeptBalance {
    ChannelBalance value;
}

/// @notice The channels of a claim in memory, in its order. The address of one word with their number; behind it four
/// words for each: its id, where its balance is stored, that balance, and the balance with what was counted so far.
type ClaimBatch is uint256;

/// @notice The address of one channel's four words.
type ClaimEntry is uint256;

using ClaimBatches for ClaimBatch global;
using ClaimBatches for ClaimEntry global;

/// @title ClaimBatches
/// @dev By addresses and not by arrays of structs: a claim walks over its channels three times, and the checks of indices
/// came to a tenth of its gas. Whoever walks stays below {length}.
library ClaimBatches {
    uint256 private constant ENTRY_BYTES = 0x80;

    /// @notice Of one total in a statement.
    uint256 internal constant TOTAL_BYTES = 16;

    /// @notice Room for so many channels, all of them still to be set.
    function allocate(uint256 count) internal pure returns (ClaimBatch batch) {
        assembly ("memory-safe") {
            batch := mload(0x40)
            mstore(batch, count)
            mstore(0x40, add(add(batch, 0x20), mul(count, ENTRY_BYTES)))
        }
    }

    function length(ClaimBatch self) internal pure returns (uint256 count) {
        assembly ("memory-safe") {
            count := mload(self)
        }
    }

    /// @dev Warning: the index must be below {length}.
    function at(ClaimBatch self, uint256 index) internal pure returns (ClaimEntry entry) {
        assembly ("memory-safe") {
            entry := add(add(self, 0x20), shl(7, index))
        }
    }

    function set(
        ClaimEntry self,
        bytes32 id_,
        KeptBalance storage kept_,
        ChannelBalance stored_,
        ChannelBalance counted_
    ) internal pure {
        assembly ("memory-safe") {
            mstore(self, id_)
            mstore(add(self, 0x20), kept_.slot)
            mstore(add(self, 0x40), stored_)
            mstore(add(self, 0x60), counted_)
        }
    }

    function setCounted(ClaimEntry self, ChannelBalance counted_) internal pure {
        assembly ("memory-safe") {
            mstore(add(self, 0x60), counted_)
        }
    }

    function id(ClaimEntry self) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(self)
        }
    }

    function kept(ClaimEntry self) internal pure returns (KeptBalance storage word) {
        assembly ("memory-safe") {
            word.slot := mload(add(self, 0x20))
        }
    }

    function stored(ClaimEntry self) internal pure returns (ChannelBalance word) {
        assembly ("memory-safe") {
            word := mload(add(self, 0x40))
        }
    }

    function counted(ClaimEntry self) internal pure returns (ChannelBalance word) {
        assembly ("memory-safe") {
            word := mload(add(self, 0x60))
        }
    }

    /// @notice The hash of a statement over the batch's channels: keccak256 of the pairs one behind the other, each the
    /// channel's id and the total as two words of 32 bytes, without those whose total is zero.
    /// @param totals TOTAL_BYTES for each channel. Warning: as many are read as there are channels.
    function pairsHash(ClaimBatch self, bytes calldata totals) internal pure returns (bytes32 hash) {
        // Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let pairs := mload(0x40)
            let pair := pairs
            let entry := add(self, 0x20)
            let total := totals.offset
            let last := add(total, shl(4, mload(self)))
            for {} lt(total, last) { total := add(total, TOTAL_BYTES) } {
                let amount := shr(128, calldataload(total))
                if amount {
                    mstore(pair, mload(entry))
                    mstore(add(pair, 0x20), amount)
                    pair := add(pair, 0x40)
                }
                entry := add(entry, ENTRY_BYTES)
            }
            hash := keccak256(pairs, sub(pair, pairs))
        }
    }
}
