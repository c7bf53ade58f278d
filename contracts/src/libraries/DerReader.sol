// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calendar} from "./Calendar.sol";

/// @title DerReader
/// @notice A strict, sequential reader of DER (X.690 §10) in the call's data: one-byte tags, definite lengths in the
/// fewest bytes, nothing beyond the enclosing element.
/// @dev Positions are offsets in the call's data. Each function takes where an element begins and where its parent ends,
/// and gives where what follows begins; `finish` refuses what is left over. No function looks behind the parent's end
/// except to find that an element would reach beyond it, which is refused.
library DerReader {
    /// @param position Of the element that is not as it must be, in bytes of the call's data.
    error DerReaderMalformed(uint256 position);

    uint256 internal constant BOOLEAN = 0x01;
    uint256 internal constant INTEGER = 0x02;
    uint256 internal constant BIT_STRING = 0x03;
    uint256 internal constant OCTET_STRING = 0x04;
    uint256 internal constant OID = 0x06;
    uint256 internal constant ENUMERATED = 0x0a;
    uint256 internal constant UTC_TIME = 0x17;
    uint256 internal constant GENERALIZED_TIME = 0x18;
    uint256 internal constant SEQUENCE = 0x30;
    uint256 internal constant SET = 0x31;
    uint256 internal constant CONTEXT_0 = 0xa0;
    uint256 internal constant CONTEXT_3 = 0xa3;

    /// @notice The range of bytes as positions.
    function range(bytes calldata der) internal pure returns (uint256 pos, uint256 end) {
        assembly ("memory-safe") {
            pos := der.offset
            end := add(der.offset, der.length)
        }
    }

    /// @notice The 32 bytes at a position; zero behind the call's data.
    function word(uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(pos)
        }
    }

    /// @notice The tag of the next element, or an impossible one at the end.
    function peek(uint256 pos, uint256 end) internal pure returns (uint256) {
        return pos < end ? word(pos) >> 248 : type(uint256).max;
    }

    /// @notice The contents of the next element, which must bear `tag`: [start, next).
    function enter(uint256 pos, uint256 end, uint256 tag) internal pure returns (uint256 start, uint256 next) {
        uint256 wrong;
        assembly ("memory-safe") {
            let header := calldataload(pos)
            let length := byte(1, header)
            start := add(pos, 2)
            if gt(length, 0x7f) {
                // The length takes one to three further bytes, the fewest that it can.
                let count := sub(length, 0x80)
                start := add(start, count)
                length := shr(sub(256, shl(3, count)), shl(16, header))
                wrong := or(gt(sub(count, 1), 2), lt(length, add(0x80, mul(gt(count, 1), sub(shl(shl(3, sub(count, 1)), 1), 0x80)))))
            }
            next := add(start, length)
            wrong := or(wrong, or(xor(byte(0, header), tag), gt(next, end)))
        }
        if (wrong != 0) revert DerReaderMalformed(pos);
    }

    /// @notice Refuses anything left over.
    function finish(uint256 pos, uint256 end) internal pure {
        if (pos != end) revert DerReaderMalformed(pos);
    }

    /// @notice Exact bytes, of which DER has one form only.
    /// @param expected In its highest `length` bytes; at most 32.
    function literal(uint256 pos, uint256 end, bytes32 expected, uint256 length) internal pure returns (uint256 next) {
        unchecked {
            next = pos + length;
            if (next > end || (word(pos) ^ uint256(expected)) >> (256 - 8 * length) != 0) revert DerReaderMalformed(pos);
        }
    }

    /// @notice An INTEGER that is not negative, of at most 32 bytes without its sign byte.
    /// @return value The number.
    /// @return length How many bytes it takes without leading zeros; 1 for zero.
    /// @return next Where what follows begins.
    function unsigned(
        uint256 pos,
        uint256 end,
        uint256 tag
    ) internal pure returns (uint256 value, uint256 length, uint256 next) {
        unchecked {
            uint256 start;
            (start, next) = enter(pos, end, tag);
            length = next - start;
            uint256 first = word(start) >> 248;
            if (length == 0 || first >= 0x80) revert DerReaderMalformed(pos);
            if (first == 0 && length > 1) {
                // The sign byte stands only where the next one would be taken for it.
                if (word(start + 1) >> 255 == 0) revert DerReaderMalformed(pos);
                (start, length) = (start + 1, length - 1);
            }
            if (length > 32) revert DerReaderMalformed(pos);
            value = word(start) >> (256 - 8 * length);
        }
    }

    /// @notice An INTEGER of 0 to `max`.
    function small(uint256 pos, uint256 end, uint256 max) internal pure returns (uint256 value, uint256 next) {
        (value,, next) = unsigned(pos, end, INTEGER);
        if (value > max) revert DerReaderMalformed(pos);
    }

    /// @notice An OBJECT IDENTIFIER of at most 31 bytes: its length as the highest byte, its contents behind it.
    function oid(uint256 pos, uint256 end) internal pure returns (uint256 id, uint256 next) {
        uint256 wrong;
        assembly ("memory-safe") {
            id := calldataload(add(pos, 1))
            let length := byte(0, id)
            next := add(add(pos, 2), length)
            wrong := or(xor(byte(0, calldataload(pos)), OID), or(gt(sub(length, 1), 30), gt(next, end)))
            wrong := or(wrong, shr(7, byte(length, id)))
            let below := sub(248, shl(3, length))
            id := shl(below, shr(below, id))
        }
        if (wrong != 0) revert DerReaderMalformed(pos);
    }

    /// @notice A BOOLEAN whose default is false: true where it stands, and it must not stand there to say false.
    function flag(uint256 pos, uint256 end) internal pure returns (bool value, uint256 next) {
        if (peek(pos, end) != BOOLEAN) return (false, pos);
        return (true, literal(pos, end, hex"0101ff", 3));
    }

    /// @notice A UTCTime or GeneralizedTime in the one form that RFC 5280 §4.1.2.5 allows, as Unix seconds.
    function time(uint256 pos, uint256 end) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            uint256 element = word(pos);
            uint256 digits;
            uint256 zone;
            if (element >> 240 == UTC_TIME << 8 | 13) {
                next = pos + 15;
                digits = element >> 144 & 0xffffffffffffffffffffffff;
                zone = element >> 136;
                // Years 50 to 99 are of the last century.
                digits |= digits >> 88 < 0x35 ? uint256(0x3230) << 96 : uint256(0x3139) << 96;
            } else {
                if (element >> 240 != GENERALIZED_TIME << 8 | 15) revert DerReaderMalformed(pos);
                next = pos + 17;
                digits = element >> 128 & 0xffffffffffffffffffffffffffff;
                zone = element >> 120;
            }
            bool ok;
            (ok, seconds_) = Calendar.fromDigits(digits);
            // "Z", and before 2050 only a UTCTime.
            if (
                !ok || zone & 0xff != 0x5a || next > end
                    || (next == pos + 17 && seconds_ < 2_524_608_000)
            ) revert DerReaderMalformed(pos);
        }
    }
}
