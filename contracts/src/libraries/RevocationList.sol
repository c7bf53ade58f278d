// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title RevocationList
/// @notice Revoked certificates of one issuer: 16 bytes for each, ascending.
/// @dev The tag of a certificate is the first 16 bytes of the hash of its serial number. Equal numbers have equal tags, so
/// nothing that is revoked is ever missed; that another one meets a tag by chance would refuse it, and issuers don't let
/// anyone choose serial numbers.
library RevocationList {
    uint256 private constant TAG = 16;

    /// @param serial The number.
    /// @param length Its bytes without leading zeros.
    function tagOf(uint256 serial, uint256 length) internal pure returns (bytes16 tag) {
        bytes32 hash;
        assembly ("memory-safe") {
            mstore(0x00, shl(sub(256, mul(8, length)), serial))
            hash := keccak256(0x00, length)
        }
        return bytes16(hash);
    }

    /// @notice Puts a tag into its place among `count` others, once.
    /// @param list Memory for all of them; its length is not looked at.
    /// @return The new count.
    function insert(bytes memory list, uint256 count, bytes16 tag) internal pure returns (uint256) {
        unchecked {
            uint256 place = _lowerBound(list, count, tag);
            if (place < count && _tagAt(list, place) == tag) return count;
            assembly ("memory-safe") {
                let to := add(add(list, 0x20), mul(place, TAG))
                mcopy(add(to, TAG), to, mul(sub(count, place), TAG))
                mstore(0x00, tag)
                mcopy(to, 0x00, TAG)
            }
            return count + 1;
        }
    }

    /// @notice How many certificates a whole list names.
    function countOf(bytes memory list) internal pure returns (uint256) {
        return list.length / TAG;
    }

    /// @notice Whether a whole list holds the tag.
    function contains(bytes memory list, bytes16 tag) internal pure returns (bool) {
        unchecked {
            uint256 count = list.length / TAG;
            uint256 place = _lowerBound(list, count, tag);
            return place < count && _tagAt(list, place) == tag;
        }
    }

    /// @dev How many tags of the list are lower.
    function _lowerBound(bytes memory list, uint256 count, bytes16 tag) private pure returns (uint256 low) {
        unchecked {
            uint256 high = count;
            while (low < high) {
                uint256 middle = (low + high) / 2;
                if (_tagAt(list, middle) < tag) low = middle + 1;
                else high = middle;
            }
        }
    }

    function _tagAt(bytes memory list, uint256 place) private pure returns (bytes16 tag) {
        assembly ("memory-safe") {
            tag := and(mload(add(add(list, 0x20), mul(place, TAG))), not(0xffffffffffffffffffffffffffffffff))
        }
    }
}
