// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ReaderHarness} from "../harness/ReaderHarness.sol";
import {bound} from "./Vm.sol";

/// @notice The readers of single values against others that are written as plainly as can be.
contract ReadersFuzzTest {
    ReaderHarness private _harness;

    function setUp() external {
        _harness = new ReaderHarness();
    }

    /* DER */

    /// @notice Every way of writing a length, of which one is right.
    function testFuzz_enter(uint8 tag, uint8 given, uint8 form, uint32 length, uint16 size) external view {
        bytes memory lengthBytes;
        form = uint8(bound(form, 0, 5));
        size = uint16(bound(size, 0, 600));
        // Often the true one, as far as it can be written.
        if (length % 2 == 0) length = size;
        if (form == 0) lengthBytes = abi.encodePacked(uint8(length));
        else if (form == 1) lengthBytes = abi.encodePacked(uint8(0x81), uint8(length));
        else if (form == 2) lengthBytes = abi.encodePacked(uint8(0x82), uint16(length));
        else if (form == 3) lengthBytes = abi.encodePacked(uint8(0x83), uint24(length));
        else if (form == 4) lengthBytes = abi.encodePacked(uint8(0x84), length);
        else lengthBytes = abi.encodePacked(uint8(0x80));
        _checkEnter(bytes.concat(bytes1(given), lengthBytes, new bytes(size)), given % 3 == 0 ? tag : given);
    }

    function testFuzz_enterArbitrary(bytes calldata der, uint8 tag) external view {
        _checkEnter(der, tag);
    }

    function _checkEnter(bytes memory der, uint8 tag) private view {
        (bool ok, uint256 start, uint256 next) = _plainEnter(der, tag);
        try _harness.enter(der, tag) returns (uint256 readStart, uint256 readNext) {
            assert(ok && readStart == start && readNext == next);
        } catch {
            assert(!ok);
        }
    }

    function _plainEnter(bytes memory der, uint8 tag) private pure returns (bool, uint256, uint256) {
        if (der.length < 2 || uint8(der[0]) != tag) return (false, 0, 0);
        uint256 length = uint8(der[1]);
        uint256 start = 2;
        if (length >= 0x80) {
            uint256 count = length - 0x80;
            if (count == 0 || count > 3 || der.length < 2 + count) return (false, 0, 0);
            length = 0;
            for (uint256 index = 0; index < count; ++index) {
                length = 256 * length + uint8(der[2 + index]);
            }
            if (length < 0x80 || (count > 1 && length < 256 ** (count - 1))) return (false, 0, 0);
            start += count;
        }
        return (start + length <= der.length, start, start + length);
    }

    function testFuzz_unsigned(bytes calldata contents) external view {
        uint256 size = contents.length > 40 ? 40 : contents.length;
        bytes memory der = abi.encodePacked(uint8(2), uint8(size), contents[:size]);
        uint256 zeros = size > 1 && contents[0] == 0 ? 1 : 0;
        bool ok = size > 0 && uint8(contents[0]) < 0x80 && !(zeros == 1 && uint8(contents[1]) < 0x80)
            && size - zeros <= 32;
        try _harness.unsigned(der) returns (uint256 value, uint256 length, uint256 next) {
            assert(ok && length == size - zeros && next == size + 2);
            assert(value == uint256(bytes32(contents[zeros:size])) >> (256 - 8 * length));
        } catch {
            assert(!ok);
        }
    }

    function testFuzz_oid(bytes calldata contents) external view {
        uint256 size = contents.length > 40 ? 40 : contents.length;
        bool ok = size > 0 && size < 32 && uint8(contents[size - 1]) < 0x80;
        try _harness.oid(abi.encodePacked(uint8(6), uint8(size), contents[:size])) returns (uint256 id, uint256 next) {
            assert(ok && next == size + 2);
            assert(bytes32(id) == bytes32(abi.encodePacked(uint8(size), contents[:size])));
        } catch {
            assert(!ok);
        }
    }

    /* DATES */

    /// @notice Each second of eight thousand years comes back from its date, in both forms that DER has and in JSON's.
    function testFuzz_dates(uint256 time) external view {
        time = bound(time, 0, 253_402_300_799);
        bytes memory digits = _digitsOf(time);
        (bool ok, uint256 read) = _harness.fromDigits(uint256(uint112(bytes14(digits))));
        assert(ok && read == time);
        bytes memory der = time < 2_524_608_000
            ? abi.encodePacked(hex"170d", _slice(digits, 2, 14), "Z")
            : abi.encodePacked(hex"180f", digits, "Z");
        assert(_harness.time(der) == time);
        bytes memory json = abi.encodePacked(
            '"', _slice(digits, 0, 4), "-", _slice(digits, 4, 6), "-", _slice(digits, 6, 8), "T", _slice(digits, 8, 10)
        );
        json = abi.encodePacked(json, ":", _slice(digits, 10, 12), ":", _slice(digits, 12, 14), 'Z"');
        assert(_harness.jsonTime(json) == time);
    }

    /// @notice A damaged date is refused or another date; never one that has another way of being written.
    function testFuzz_damagedDates(uint256 time, uint256 place, bytes1 character) external view {
        bytes memory digits = _digitsOf(bound(time, 0, 253_402_300_799));
        digits[bound(place, 0, 13)] = character;
        (bool ok, uint256 read) = _harness.fromDigits(uint256(uint112(bytes14(digits))));
        assert(!ok || keccak256(_digitsOf(read)) == keccak256(digits));
    }

    function testFuzz_arbitraryDigits(uint256 digits) external view {
        (bool ok,) = _harness.fromDigits(digits);
        assert(!ok || digits >> 112 == 0);
    }

    /// @dev Year by year, month by month.
    function _digitsOf(uint256 time) private pure returns (bytes memory) {
        uint256 days_ = time / 86_400;
        uint256 year = 1970;
        while (days_ >= (_isLeap(year) ? 366 : 365)) {
            days_ -= _isLeap(year) ? 366 : 365;
            ++year;
        }
        uint8[12] memory lengths = [31, _isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        uint256 month = 0;
        while (days_ >= lengths[month]) {
            days_ -= lengths[month];
            ++month;
        }
        uint256 rest = time % 86_400;
        return abi.encodePacked(
            _two(year / 100), _two(year % 100), _two(month + 1), _two(days_ + 1), _two(rest / 3600),
            _two(rest / 60 % 60), _two(rest % 60)
        );
    }

    function _isLeap(uint256 year) private pure returns (bool) {
        return year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
    }

    function _two(uint256 number) private pure returns (bytes2) {
        return bytes2(uint16((0x30 + number / 10) << 8 | (0x30 + number % 10)));
    }

    function _slice(bytes memory text, uint256 from, uint256 to) private pure returns (bytes memory part) {
        part = new bytes(to - from);
        for (uint256 index = from; index < to; ++index) {
            part[index - from] = text[index];
        }
    }

    /* JSON */

    function testFuzz_numbers(uint256 value, uint256 max, bytes1 behind) external view {
        max = bound(max, 0, 9_999_999_999);
        value = value % 2 == 0 ? bound(value, 0, max) : bound(value, 0, 2 * max + 10);
        bytes memory digits = _decimal(value);
        try _harness.number(digits, max) returns (uint256 read) {
            assert(read == value && value <= max);
        } catch {
            assert(value > max);
        }
        _refuses(abi.encodeCall(_harness.number, (abi.encodePacked("0", digits), value == 0 ? 0 : max)));
        _refuses(abi.encodeCall(_harness.number, (abi.encodePacked("-", digits), max)));
        if (behind < "0" || behind > "9") {
            _refuses(abi.encodeCall(_harness.number, (abi.encodePacked(digits, behind), max)));
        }
    }

    function _decimal(uint256 value) private pure returns (bytes memory digits) {
        do {
            digits = abi.encodePacked(bytes1(uint8(0x30 + value % 10)), digits);
            value /= 10;
        } while (value != 0);
    }

    function testFuzz_hexadecimal(bytes16 value, uint8 length, uint256 capitals) external view {
        length = uint8(bound(length, 1, 16));
        bytes memory json = new bytes(2 * length + 2);
        json[0] = json[2 * length + 1] = '"';
        for (uint256 index = 0; index < 2 * length; ++index) {
            uint8 digit = uint8(value[index / 2]) >> (index % 2 == 0 ? 4 : 0) & 0x0f;
            uint8 letter = capitals >> index & 1 == 0 ? 0x57 : 0x37;
            json[index + 1] = bytes1(digit < 10 ? 0x30 + digit : letter + digit);
        }
        assert(_harness.hexBytes(json, length) == uint256(uint128(value)) >> (128 - 8 * length));
    }

    function testFuzz_noHexadecimal(bytes32 characters, uint256 place, bytes1 wrong) external view {
        bytes memory json = abi.encodePacked('"', new bytes(32), '"');
        for (uint256 index = 0; index < 32; ++index) {
            json[index + 1] = bytes1(uint8(0x30 + uint8(characters[index]) % 10));
        }
        json[bound(place, 1, 32)] = wrong;
        bool digit = (wrong >= "0" && wrong <= "9") || (wrong >= "a" && wrong <= "f") || (wrong >= "A" && wrong <= "F");
        (bool ok,) = address(_harness).staticcall(abi.encodeCall(_harness.hexBytes, (json, 16)));
        assert(ok == digit);
    }

    function testFuzz_text(bytes calldata seed, uint8 max, bytes1 wrong, uint256 place) external view {
        max = uint8(bound(max, 1, 200));
        uint256 length = seed.length > 220 ? 220 : seed.length;
        bytes memory json = abi.encodePacked('"', new bytes(length), '"');
        for (uint256 index = 0; index < length; ++index) {
            // Printable ASCII without quotes and backslashes.
            uint8 character = 0x20 + uint8(seed[index]) % 95;
            json[index + 1] = bytes1(character == 0x22 || character == 0x5c ? 0x41 : character);
        }
        (bool ok,) = address(_harness).staticcall(abi.encodeCall(_harness.text, (json, max)));
        assert(ok == (length <= max));
        if (length == 0) return;
        json[bound(place, 1, length)] = wrong;
        bool allowed = wrong >= 0x20 && wrong <= 0x7e && wrong != '"' && wrong != 0x5c;
        (ok,) = address(_harness).staticcall(abi.encodeCall(_harness.text, (json, max)));
        assert(ok == (allowed && length <= max));
    }

    function _refuses(bytes memory call_) private view {
        (bool ok,) = address(_harness).staticcall(call_);
        assert(!ok);
    }
}
