// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {QeFacts} from "../../src/libraries/TcbFormat.sol";
import {ReaderHarness} from "../harness/ReaderHarness.sol";

/// @notice Verdicts from packed statements against verdicts byte by byte.
contract TcbFormatFuzzTest {
    struct Level {
        bytes16 sgx;
        uint16 pceSvn;
        bytes16 tdx;
        uint8 status;
    }

    ReaderHarness private _harness;

    function setUp() external {
        _harness = new ReaderHarness();
    }

    /// @dev Few values, and of all 256: some levels are reached, and no byte borrows from another.
    function _near(bytes16 seed, bytes16 base) private pure returns (bytes16 svns) {
        for (uint256 index = 0; index < 16; ++index) {
            uint256 svn = uint256(uint8(base[index])) + uint8(seed[index]) / 128;
            svns |= bytes16(uint128(svn > 255 ? 255 : svn) << uint128(8 * (15 - index)));
        }
    }

    function _reaches(bytes16 left, bytes16 right, uint256 from) private pure returns (bool) {
        for (uint256 index = from; index < 16; ++index) {
            if (uint8(left[index]) < uint8(right[index])) return false;
        }
        return true;
    }

    /// @notice The first level that is reached, with and without modules before the levels.
    function testFuzz_platformLevels(
        bytes16[4] calldata seeds,
        bytes16[4] calldata tdxSeeds,
        bytes16 base,
        uint8 modules,
        bool newModule
    ) external view {
        Level[] memory levels = new Level[](4);
        for (uint256 index = 0; index < 4; ++index) {
            levels[index] = Level(
                _near(seeds[index] & seeds[(index + 1) % 4] & seeds[(index + 2) % 4], base),
                uint16(uint8(seeds[index][0])) & 0x0101,
                _near(tdxSeeds[index] & tdxSeeds[(index + 1) % 4] & seeds[index], base),
                uint8(index + 1)
            );
        }
        bytes16 components = _near(bytes16(type(uint128).max ^ uint128(seeds[0] & seeds[3])), base);
        bytes16 teeTcbSvn = _near(bytes16(type(uint128).max ^ uint128(tdxSeeds[0] & tdxSeeds[3])), base);
        teeTcbSvn &= ~(bytes16(uint128(0xff) << 112));
        if (newModule) teeTcbSvn |= bytes16(uint128(1) << 112);
        uint16 pceSvn = uint16(uint8(seeds[2][0]));

        uint8 expectedTdx;
        uint8 expectedSgx;
        bytes memory tdx = _modulesOf(modules % 4);
        bytes memory sgx = hex"00";
        for (uint256 index = 4; index > 0; --index) {
            Level memory level = levels[index - 1];
            bool reached = _reaches(components, level.sgx, 0) && pceSvn >= level.pceSvn;
            if (reached) expectedSgx = level.status;
            if (reached && _reaches(teeTcbSvn, level.tdx, newModule ? 2 : 0)) expectedTdx = level.status;
        }
        for (uint256 index = 0; index < 4; ++index) {
            Level memory level = levels[index];
            tdx = abi.encodePacked(tdx, level.sgx, level.pceSvn, level.tdx, level.status);
            sgx = abi.encodePacked(sgx, level.sgx, level.pceSvn, level.status);
        }
        assert(_harness.statusOfTdx(tdx, components, pceSvn, teeTcbSvn) == expectedTdx);
        assert(_harness.statusOfSgx(sgx, components, pceSvn) == expectedSgx);
    }

    /// @dev Version 0 without levels, then 1 and up with as many levels as their version.
    function _modulesOf(uint8 count) private pure returns (bytes memory content) {
        content = abi.encodePacked(count);
        for (uint8 version = 0; version < count; ++version) {
            content = abi.encodePacked(content, version, new bytes(64), version);
            for (uint8 level = 0; level < version; ++level) {
                content = abi.encodePacked(content, uint16(10 * (version - level)), uint8(version + level));
            }
        }
    }

    /// @notice A module is found by its version, and its first level that is reached decides.
    function testFuzz_modules(uint8 count, uint8 version, uint8 svn) external view {
        count = count % 8;
        version = version % 10;
        svn = svn % 90;
        (uint256 place, uint8 status) = _harness.module(_modulesOf(count), version, svn);
        assert((place != 0) == (version < count));
        uint8 expected;
        if (version < count) {
            for (uint8 level = version; level > 0; --level) {
                if (svn >= 10 * (version - (level - 1))) expected = version + level - 1;
            }
        }
        assert(status == expected);
    }

    /// @notice Each field counts, miscSelect and attributes under their masks; DEBUG is refused under any.
    function testFuzz_quotingEnclave(
        QeFacts calldata facts,
        QeFacts calldata described,
        bytes4 miscMask,
        bytes16 attributesMask,
        uint8 equal
    ) external view {
        QeFacts memory identity = described;
        if (equal & 1 != 0) identity.mrSigner = facts.mrSigner;
        if (equal & 2 != 0) identity.isvProdId = facts.isvProdId;
        if (equal & 4 != 0) identity.miscSelect = facts.miscSelect;
        if (equal & 8 != 0) identity.attributes = facts.attributes;
        bytes memory content = abi.encodePacked(
            identity.miscSelect,
            miscMask,
            identity.attributes,
            attributesMask,
            identity.mrSigner,
            identity.isvProdId,
            uint16(7),
            uint8(1),
            uint16(3),
            uint8(5)
        );
        bool expected = identity.mrSigner == facts.mrSigner && identity.isvProdId == facts.isvProdId
            && identity.miscSelect & miscMask == facts.miscSelect & miscMask
            && identity.attributes & attributesMask == facts.attributes & attributesMask
            && facts.attributes[0] & 0x02 == 0;
        assert(_harness.isQe(content, facts) == expected);
        uint8 status = facts.isvSvn >= 7 ? 1 : facts.isvSvn >= 3 ? 5 : 0;
        assert(_harness.statusOfQe(content, facts.isvSvn) == status);
    }

    /// @notice All pairs of statuses, by Intel's rules in words.
    function test_merge() external view {
        for (uint8 platform = 1; platform <= 7; ++platform) {
            for (uint8 part = 1; part <= 7; ++part) {
                uint8 expected = platform > part ? platform : part;
                bool needsConfiguration = platform == 3 || platform == 4;
                if (part == 5 && needsConfiguration) expected = 6;
                assert(_harness.merge(platform, part) == expected);
            }
        }
    }
}
