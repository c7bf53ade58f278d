// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DerReader} from "./DerReader.sol";

/// @notice Intel's SGX extension of a platform's certificate.
/// @param components SVNs of the 16 SGX TCB components.
struct PckFields {
    bytes16 ppid;
    bytes16 components;
    uint16 pceSvn;
    bytes2 pceId;
    bytes6 fmspc;
}

/// @title PckExtension
/// @notice Reads Intel's SGX extension (Intel, "PCK Certificate and CRL Profile", §4.1; OIDs under
/// 1.2.840.113741.1.13.1) strictly: each field once, of its exact length, none that it does not know.
library PckExtension {
    /// @dev OIDs, tag and length first: of a field up to its number, and of the PCE SVN.
    uint256 private constant FIELD = 0x060a_2a864886f84d010d01;
    uint256 private constant PCE_SVN = 0x060b_2a864886f84d010d01_02_11;
    /// @dev All of a component but its SVN: SEQUENCE of OID and INTEGER. DER has one form for SVNs below 128 and one for the
    /// others, which begin with a zero byte.
    uint256 private constant COMPONENT = 0x3010_060b_2a864886f84d010d01_02_00_0201;
    uint256 private constant HIGH_COMPONENT = 0x3011_060b_2a864886f84d010d01_02_00_0202_00;
    /// @dev All of the CPU SVN but its 16 bytes.
    uint256 private constant CPU_SVN = 0x301f_060b_2a864886f84d010d01_02_12_0410;
    /// @dev All of another field but its value, with room for lengths, number, and tag.
    uint256 private constant SHORT_FIELD = 0x3000_060a_2a864886f84d010d01_00_0000;

    /// @dev Numbers of fields.
    uint256 private constant PPID = 1;
    uint256 private constant TCB = 2;
    uint256 private constant PCE_ID = 3;
    uint256 private constant FMSPC = 4;
    uint256 private constant SGX_TYPE = 5;
    uint256 private constant CONFIGURATION = 7;
    /// @dev PPID, TCB, PCE id and FMSPC, as bits of their numbers.
    uint256 private constant REQUIRED = 0x1e;
    /// @dev Tag and length of what each field but the TCB holds, by number, two bytes each from the lowest on: PPID 16 bytes,
    /// PCE id 2, FMSPC 6, SGX type ENUMERATED, platform instance id 16, configuration SEQUENCE of any length. Nothing short
    /// has the shapes of the others.
    uint256 private constant SHAPES = 0x3000_0410_0a01_0406_0402_ffff_0410_ffff;

    /// @param pos Where the extension's contents begin in the call's data.
    /// @param end Where they end.
    function read(uint256 pos, uint256 end) internal pure returns (PckFields memory fields) {
        uint256 next;
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        uint256 seen;
        unchecked {
            while (pos < end) {
                // SEQUENCE of the OID, and tag and length of what follows it: 16 bytes, where all is short.
                uint256 header = DerReader.word(pos);
                uint256 length = header >> 240 & 0xff;
                if (length > 0x7f) {
                    if (seen >> TCB & 1 != 0) revert DerReader.DerReaderMalformed(pos);
                    seen |= 1 << TCB;
                    (fields.components, fields.pceSvn, pos) = _tcb(pos, end);
                    continue;
                }
                header >>= 128;
                uint256 number = header >> 16 & 0xff;
                uint256 shape = SHAPES >> 16 * number & 0xffff;
                if (number == CONFIGURATION) shape |= header & 0xff;
                uint256 wrong = header ^ (SHORT_FIELD | (shape & 0xff) + 14 << 112 | number << 16 | shape);
                if (wrong | number >> 3 | seen >> number & 1 != 0) revert DerReader.DerReaderMalformed(pos);
                seen |= 1 << number;
                bytes32 value = bytes32(DerReader.word(pos + 16));
                if (number == PPID) fields.ppid = bytes16(value);
                else if (number == PCE_ID) fields.pceId = bytes2(value);
                else if (number == FMSPC) fields.fmspc = bytes6(value);
                else if (number == SGX_TYPE && value >> 255 != 0) revert DerReader.DerReaderMalformed(pos);
                pos += 2 + length;
            }
        }
        if (pos != end || seen & REQUIRED != REQUIRED) revert DerReader.DerReaderMalformed(end);
    }

    /// @dev Profile: .1 to .16 the components, .17 the PCE SVN, .18 the CPU SVN; always in this order.
    /// @return Components, PCE SVN, and where what follows begins.
    function _tcb(uint256 pos, uint256 end) private pure returns (bytes16, uint16, uint256) {
        uint256 next;
        (pos, end) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        if (DerReader.word(pos) >> 160 != FIELD << 8 | TCB) revert DerReader.DerReaderMalformed(pos);
        unchecked {
            (pos, next) = DerReader.enter(pos + 12, end, DerReader.SEQUENCE);
        }
        DerReader.finish(next, end);
        uint256 svns;
        uint256 wrong;
        assembly ("memory-safe") {
            for { let component := 1 } lt(component, 17) { component := add(component, 1) } {
                let field := calldataload(pos)
                let svn := byte(17, field)
                switch eq(shr(120, field), or(COMPONENT, shl(16, component)))
                case 1 {
                    wrong := or(wrong, shr(7, svn))
                    pos := add(pos, 18)
                }
                default {
                    svn := byte(18, field)
                    wrong := or(wrong, or(xor(shr(112, field), or(HIGH_COMPONENT, shl(24, component))), lt(svn, 0x80)))
                    pos := add(pos, 19)
                }
                svns := or(shl(8, svns), svn)
            }
        }
        if (wrong != 0) revert DerReader.DerReaderMalformed(pos);
        uint256 pceSvn;
        (pceSvn, pos) = _pceSvn(pos, next);
        unchecked {
            if (DerReader.word(pos) >> 120 != CPU_SVN) revert DerReader.DerReaderMalformed(pos);
            DerReader.finish(pos + 33, next);
        }
        return (bytes16(uint128(svns)), uint16(pceSvn), next);
    }

    function _pceSvn(uint256 pos, uint256 end) private pure returns (uint256 svn, uint256 next) {
        uint256 field = DerReader.word(pos);
        unchecked {
            if (field >> 119 == (COMPONENT | 17 << 16) << 1) return (field >> 112 & 0xff, pos + 18);
            (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
            if (DerReader.word(pos) >> 152 != PCE_SVN) revert DerReader.DerReaderMalformed(pos);
            (svn, pos) = DerReader.small(pos + 13, next, 0xffff);
        }
        DerReader.finish(pos, next);
    }
}
