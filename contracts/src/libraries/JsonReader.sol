// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calendar} from "./Calendar.sol";

/// @title JsonReader
/// @notice An exact, sequential reader of JSON in the call's data, for documents whose form is known: no white space, no
/// escapes, printable ASCII.
/// @dev Positions are offsets in the call's data. Every function goes forward over bytes that it has looked at and found
/// as they must be, and behind the call's data there are only zeros, which no form has: a reader that ends where the
/// document ends has stayed inside it. That comparison, `finish`, must follow.
library JsonReader {
    /// @param position Of what is not as it must be, in bytes of the call's data.
    error JsonReaderMalformed(uint256 position);

    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;

    function word(uint256 pos) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(pos)
        }
    }

    function finish(uint256 pos, uint256 end) internal pure {
        if (pos != end) revert JsonReaderMalformed(pos);
    }

    /// @notice Whether the next bytes are these.
    /// @param expected The characters as a number: `uint56(bytes7('{"id":"'))`, which costs less code than a word.
    /// @param length How many; at most 32.
    function startsWith(uint256 pos, uint256 expected, uint256 length) internal pure returns (bool) {
        unchecked {
            return word(pos) >> (256 - 8 * length) == expected;
        }
    }

    /// @notice Exact bytes.
    /// @param expected The characters as a number: `uint56(bytes7('{"id":"'))`, which costs less code than a word.
    /// @param length How many; at most 32.
    function literal(uint256 pos, uint256 expected, uint256 length) internal pure returns (uint256 next) {
        if (!startsWith(pos, expected, length)) revert JsonReaderMalformed(pos);
        unchecked {
            return pos + length;
        }
    }

    /// @notice Whether a comma follows, or else the end of the list or object.
    /// @param close The closing bracket.
    function more(uint256 pos, bytes1 close) internal pure returns (bool another, uint256 next) {
        uint256 character = word(pos) >> 248;
        another = character == 0x2c;
        if (!another && character != uint8(close)) revert JsonReaderMalformed(pos);
        unchecked {
            next = pos + 1;
        }
    }

    /// @notice A number of 0 to `max` without fraction, exponent or leading zeros. `max` is below 10^10.
    function number(uint256 pos, uint256 max) internal pure returns (uint256 value, uint256 next) {
        unchecked {
            uint256 characters = word(pos);
            uint256 digit = (characters >> 248) - 0x30;
            if (digit > 9) revert JsonReaderMalformed(pos);
            next = pos + 1;
            value = digit;
            if (digit != 0) {
                while (next - pos < 11) {
                    characters <<= 8;
                    digit = (characters >> 248) - 0x30;
                    if (digit > 9) break;
                    value = 10 * value + digit;
                    ++next;
                }
            }
            if (value > max) revert JsonReaderMalformed(pos);
        }
    }

    /// @notice Text in quotes of at most `max` characters, at most 255: it lies in [pos + 1, next - 1).
    function text(uint256 pos, uint256 max) internal pure returns (uint256 next) {
        unchecked {
            if (word(pos) >> 248 != 0x22) revert JsonReaderMalformed(pos);
            uint256 from = pos + 1;
            next = from;
            uint256 quotes;
            uint256 wrong;
            do {
                uint256 characters = word(next);
                quotes = _zeros(characters ^ 0x22 * ONES);
                // Backslashes, control characters, anything beyond ASCII and DEL.
                wrong = _zeros(characters ^ 0x5c * ONES) | _zeros(characters & 0x60 * ONES) | characters & 0x80 * ONES
                    | _zeros(characters ^ 0x7f * ONES);
                if (quotes == 0) {
                    if (wrong != 0) revert JsonReaderMalformed(next);
                    next += 32;
                }
            } while (quotes == 0 && next - from <= max);
            uint256 before = _leadingBytes(quotes);
            if (quotes == 0 || wrong > quotes || next + before - from > max) revert JsonReaderMalformed(pos);
            next += before + 1;
        }
    }

    /// @notice Bytes in hexadecimal in quotes, exactly `length` of them, at most 16: in the lowest bytes of the value.
    function hexBytes(uint256 pos, uint256 length) internal pure returns (uint256 value, uint256 next) {
        unchecked {
            next = pos + 2 * length + 2;
            if (word(pos) >> 248 != 0x22 || word(next - 1) >> 248 != 0x22) revert JsonReaderMalformed(pos);
            value = hexDigits(pos + 1, length);
        }
    }

    /// @notice Bytes in hexadecimal, exactly `length` of them, at most 16: in the lowest bytes of the value.
    function hexDigits(uint256 pos, uint256 length) internal pure returns (uint256 value) {
        unchecked {
            uint256 characters = word(pos);
            if (length != 16) {
                // Zeros before them make it 32 digits.
                characters = characters >> (256 - 16 * length) | 0x30 * ONES << 16 * length;
            }
            uint256 letters = characters >> 6 & ONES;
            value = (characters & 0x0f * ONES) + 9 * letters;
            // The digits written again, in lower case, must be what was read.
            uint256 again = 0x30 * ONES + value + 0x27 * (value + 0x06 * ONES >> 4 & ONES);
            if (value & 0xf0 * ONES != 0 || again != characters | letters << 5) revert JsonReaderMalformed(pos);
            value = (value | value >> 4) & 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
            value = (value | value >> 8) & 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
            value = (value | value >> 16) & 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
            value = (value | value >> 32) & 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
            value = (value | value >> 64) & type(uint128).max;
        }
    }

    /// @notice A date in quotes like 2025-06-19T10:16:03Z, as Unix seconds.
    function time(uint256 pos) internal pure returns (uint256 seconds_, uint256 next) {
        unchecked {
            // Quote, 20 characters, quote.
            uint256 characters = word(pos);
            // 0x22 before, "-" "-" "T" ":" ":" between, "Z" and 0x22 behind.
            if (
                (characters ^ 0x22_00000000_2d_0000_2d_0000_54_0000_3a_0000_3a_0000_5a_22 << 80)
                        & 0xff_00000000_ff_0000_ff_0000_ff_0000_ff_0000_ff_0000_ff_ff << 80 != 0
            ) revert JsonReaderMalformed(pos);
            bool ok;
            (ok, seconds_) = Calendar.fromDigits(
                (characters >> 216 & 0xffffffff) << 80 | (characters >> 192 & 0xffff) << 64
                    | (characters >> 168 & 0xffff) << 48 | (characters >> 144 & 0xffff) << 32
                    | (characters >> 120 & 0xffff) << 16 | (characters >> 96 & 0xffff)
            );
            if (!ok) revert JsonReaderMalformed(pos);
            next = pos + 22;
        }
    }

    /// @dev 0x80 in each byte that is zero, exactly: no byte carries into another.
    function _zeros(uint256 bytes_) private pure returns (uint256) {
        unchecked {
            uint256 low = 0x7f * ONES;
            return ~((bytes_ & low) + low | bytes_ | low);
        }
    }

    /// @dev How many bytes stand before the first one that is marked by 0x80; 31 where none is.
    function _leadingBytes(uint256 marks) private pure returns (uint256 count) {
        unchecked {
            if (marks >> 128 == 0) (count, marks) = (16, marks << 128);
            if (marks >> 192 == 0) (count, marks) = (count + 8, marks << 64);
            if (marks >> 224 == 0) (count, marks) = (count + 4, marks << 32);
            if (marks >> 240 == 0) (count, marks) = (count + 2, marks << 16);
            if (marks >> 248 == 0) ++count;
        }
    }
}
