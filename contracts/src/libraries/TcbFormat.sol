// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a quoting enclave says of itself, in the byte order of its report.
/// @param isvProdId, isvSvn As numbers.
struct QeFacts {
    bytes32 mrSigner;
    bytes16 attributes;
    bytes4 miscSelect;
    uint16 isvProdId;
    uint16 isvSvn;
}

/// @title TcbFormat
/// @notice Intel's statements packed as {IntelJson} writes them, and the verdicts that they give.
/// @dev QE identity: miscSelect 4, its mask 4, attributes 16, their mask 16, mrSigner 32, isvProdId 2; then levels of
/// {isvSvn 2, status 1}, best first.
/// TCB info: how many modules 1; for each {version 1, mrSigner 48, attributes 8, their mask 8, how many levels 1, levels
/// of {isvSvn 2, status 1}}, version 0 first where there are any; then levels of platforms, best first: {16 SGX
/// components, pceSvn 2, for TDX 16 TDX components, status 1}.
/// Statuses are numbered as in {EvidenceClaims}; 0 stands for none.
library TcbFormat {
    uint256 internal constant QE_SHAPE = 74;
    uint256 private constant SVN_LEVEL = 3;
    uint256 private constant MODULE_SHAPE = 64;
    uint256 private constant HIGH_BITS = 0x8080808080808080808080808080808080808080808080808080808080808080;

    /// @notice Whether the enclave is the one that the identity describes, and no debug enclave.
    function isQe(bytes memory identity, QeFacts memory facts) internal pure returns (bool) {
        bytes4 miscSelect = bytes4(_word(identity, 0));
        bytes4 miscMask = bytes4(_word(identity, 4));
        bytes16 attributes = bytes16(_word(identity, 8));
        bytes16 attributesMask = bytes16(_word(identity, 24));
        return (facts.miscSelect ^ miscSelect) & miscMask == 0 && (facts.attributes ^ attributes) & attributesMask == 0
            && uint8(facts.attributes[0]) & 0x02 == 0 && facts.mrSigner == _word(identity, 40)
            && bytes2(facts.isvProdId) == bytes2(_word(identity, 72));
    }

    /// @notice The status of the enclave's SVN; 0 where it reaches no level.
    function statusOfQe(bytes memory identity, uint16 isvSvn) internal pure returns (uint8) {
        return _statusOfSvn(identity, QE_SHAPE, identity.length, isvSvn);
    }

    /// @notice Where the module of a version stands; 0 where it is unknown. Version 0 has no levels of its own.
    function findModule(bytes memory tcbInfo, uint8 version) internal pure returns (uint256 place) {
        unchecked {
            uint256 count = uint8(bytes1(_word(tcbInfo, 0)));
            place = 1;
            for (uint256 index = 0; index < count; ++index) {
                if (uint8(bytes1(_word(tcbInfo, place))) == version) return place;
                place = _behindModule(tcbInfo, place);
            }
            return 0;
        }
    }

    /// @notice Whether a TD's report shows the module at a place.
    /// @param mrSigner Its first 32 bytes.
    /// @param mrSignerRest Its last 16 bytes.
    function isModule(
        bytes memory tcbInfo,
        uint256 place,
        bytes32 mrSigner,
        bytes16 mrSignerRest,
        bytes8 attributes
    ) internal pure returns (bool) {
        return _word(tcbInfo, place + 1) == mrSigner && bytes16(_word(tcbInfo, place + 33)) == mrSignerRest
            && (attributes ^ bytes8(_word(tcbInfo, place + 49))) & bytes8(_word(tcbInfo, place + 57)) == 0;
    }

    /// @notice The status of the SVN of the module at a place; 0 where it reaches no level.
    function statusOfModule(bytes memory tcbInfo, uint256 place, uint8 svn) internal pure returns (uint8) {
        uint256 from = place + 1 + MODULE_SHAPE + 1;
        return _statusOfSvn(tcbInfo, from, _behindModule(tcbInfo, place), svn);
    }

    /// @notice The status of a TDX platform: of the first level all of whose SVNs it reaches; 0 where it reaches none.
    /// @dev From module version 1 on the module's own two components are judged by its identity instead (Intel PCS API v4,
    /// "Determining TCB status of TDX platform").
    function statusOfTdx(
        bytes memory tcbInfo,
        bytes16 components,
        uint16 pceSvn,
        bytes16 teeTcbSvn
    ) internal pure returns (uint8) {
        unchecked {
            uint256 reached = uint256(bytes32(components)) | uint128(teeTcbSvn);
            // The module's two components are the highest of the lower half.
            uint256 counted = teeTcbSvn[1] == 0 ? type(uint256).max : ~(uint256(0xffff) << 112);
            uint256 length = tcbInfo.length;
            for (uint256 place = _behindModules(tcbInfo); place < length; place += 35) {
                bytes32 sgx = _word(tcbInfo, place);
                uint256 asked = uint256(bytes32(bytes16(sgx))) | uint128(bytes16(_word(tcbInfo, place + 18)));
                if (_reaches(reached, asked & counted) && pceSvn >= uint16(bytes2(sgx << 128))) {
                    return uint8(bytes1(_word(tcbInfo, place + 34)));
                }
            }
            return 0;
        }
    }

    /// @notice The status of an SGX platform; 0 where it reaches no level.
    function statusOfSgx(bytes memory tcbInfo, bytes16 components, uint16 pceSvn) internal pure returns (uint8) {
        unchecked {
            uint256 length = tcbInfo.length;
            for (uint256 place = _behindModules(tcbInfo); place < length; place += 19) {
                bytes32 level = _word(tcbInfo, place);
                if (
                    _reaches(uint256(bytes32(components)), uint256(bytes32(bytes16(level))))
                        && pceSvn >= uint16(bytes2(level << 128))
                ) return uint8(bytes1(level << 144));
            }
            return 0;
        }
    }

    /// @notice The status of a platform whose QE or module has one of its own (Intel, same source, and its quote
    /// verification library): revoked anywhere is revoked; an outdated part makes the whole outdated, and a
    /// configuration need of the platform stays visible; otherwise the worse stands.
    function merge(uint8 platform, uint8 part) internal pure returns (uint8) {
        if (part == 5 && platform < 5) return platform < 3 ? 5 : 6;
        return part > platform ? part : platform;
    }

    /// @notice Tells descriptions of QE and module apart: another one where Intel describes either otherwise.
    /// @param place Of the module; 0 for SGX.
    function shapeOf(bytes memory identity, bytes memory tcbInfo, uint256 place) internal pure returns (bytes6) {
        bytes32 qe;
        bytes32 module;
        assembly ("memory-safe") {
            qe := keccak256(add(identity, 0x20), QE_SHAPE)
            if place { module := keccak256(add(add(tcbInfo, 0x21), place), MODULE_SHAPE) }
        }
        return bytes6(keccak256(abi.encode(qe, module)));
    }

    function _statusOfSvn(bytes memory content, uint256 from, uint256 to, uint256 svn) private pure returns (uint8) {
        unchecked {
            for (uint256 place = from; place < to; place += SVN_LEVEL) {
                uint256 level = uint24(bytes3(_word(content, place)));
                if (svn >= level >> 8) return uint8(level);
            }
            return 0;
        }
    }

    function _behindModules(bytes memory tcbInfo) private pure returns (uint256 place) {
        unchecked {
            uint256 count = uint8(bytes1(_word(tcbInfo, 0)));
            place = 1;
            for (uint256 index = 0; index < count; ++index) {
                place = _behindModule(tcbInfo, place);
            }
        }
    }

    function _behindModule(bytes memory tcbInfo, uint256 place) private pure returns (uint256) {
        unchecked {
            uint256 levels = uint8(bytes1(_word(tcbInfo, place + 1 + MODULE_SHAPE)));
            return place + 2 + MODULE_SHAPE + SVN_LEVEL * levels;
        }
    }

    /// @dev Whether each of 32 bytes is at least the one in the same place of the other.
    function _reaches(uint256 left, uint256 right) private pure returns (bool) {
        unchecked {
            uint256 difference = (left | HIGH_BITS) - (right & ~HIGH_BITS);
            return ((left & ~right) | (~(left ^ right) & difference)) & HIGH_BITS == HIGH_BITS;
        }
    }

    function _word(bytes memory content, uint256 place) private pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := mload(add(add(content, 0x20), place))
        }
    }
}
