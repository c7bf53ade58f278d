// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {JsonReader} from "./JsonReader.sol";

/// @notice TCB info version 3 (Intel PCS API v4).
/// @param teeType 1 SGX, 2 TDX.
/// @param issueDate, nextUpdate Unix seconds.
/// @param content Modules and levels (see {TcbFormat}).
struct TcbInfo {
    uint8 teeType;
    bytes6 fmspc;
    bytes2 pceId;
    uint256 issueDate;
    uint256 nextUpdate;
    uint256 evaluation;
    bytes content;
}

/// @notice QE identity version 2.
/// @param teeType 1 SGX, 2 TDX.
/// @param content The enclave and its levels (see {TcbFormat}).
struct QeIdentity {
    uint8 teeType;
    uint256 issueDate;
    uint256 nextUpdate;
    uint256 evaluation;
    bytes content;
}

/// @title IntelJson
/// @notice Reads TCB info and QE identity in the exact form in which Intel signs them: members in Intel's order, no white
/// space; `advisoryIDs`, `tdxModuleIdentities`, and `category` and `type` of a component may be absent, and nothing else
/// may be there. A form that Intel changes is refused until a reader for it is deployed.
library IntelJson {
    /// @param length Bytes.
    error IntelJsonTooLarge(uint256 length, uint256 maximum);

    /// @dev Real documents have 3 to 5 kB.
    uint256 private constant MAX_LENGTH = 32_768;
    uint256 private constant MAX_LEVELS = 255;
    uint256 private constant MAX_ADVISORIES = 256;
    uint256 private constant MAX_EVALUATION = 0xffff;

    uint8 private constant SGX = 1;
    uint8 private constant TDX = 2;

    function readTcbInfo(bytes calldata json) internal pure returns (TcbInfo memory info) {
        (uint256 pos, uint256 end, uint256 to) = _begin(json);
        info.content = _open(to);
        pos = JsonReader.literal(pos, uint56(bytes7('{"id":"')), 7);
        (info.teeType, pos) =
            JsonReader.startsWith(pos, uint128(bytes16('TDX","version":3')), 16) ? (TDX, pos + 16) : (SGX, _sgx(pos, uint96(bytes12(',"version":3')), 12));
        (info.issueDate, info.nextUpdate, pos) = _dates(pos);
        pos = JsonReader.literal(pos, uint72(bytes9(',"fmspc":')), 9);
        uint256 value;
        (value, pos) = JsonReader.hexBytes(pos, 6);
        info.fmspc = bytes6(uint48(value));
        pos = JsonReader.literal(pos, uint72(bytes9(',"pceId":')), 9);
        (value, pos) = JsonReader.hexBytes(pos, 2);
        info.pceId = bytes2(uint16(value));
        pos = JsonReader.literal(pos, uint96(bytes12(',"tcbType":0')), 12);
        (info.evaluation, pos) = _evaluation(pos);
        (pos, to) = info.teeType == TDX ? _modules(pos, to) : (pos, _put(to, 0, 1));
        (pos, to) = _levels(pos, to, info.teeType == TDX);
        pos = JsonReader.literal(pos, uint8(bytes1("}")), 1);
        JsonReader.finish(pos, end);
        _close(info.content, to);
    }

    function readQeIdentity(bytes calldata json) internal pure returns (QeIdentity memory identity) {
        (uint256 pos, uint256 end, uint256 to) = _begin(json);
        identity.content = _open(to);
        pos = JsonReader.literal(pos, uint56(bytes7('{"id":"')), 7);
        (identity.teeType, pos) = JsonReader.startsWith(pos, uint144(bytes18('TD_QE","version":2')), 18)
            ? (TDX, pos + 18)
            : (SGX, JsonReader.literal(pos, uint120(bytes15('QE","version":2')), 15));
        (identity.issueDate, identity.nextUpdate, pos) = _dates(pos);
        (identity.evaluation, pos) = _evaluation(pos);
        uint256 value;
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint112(bytes14(',"miscselect":')), 14), 4);
        to = _put(to, value, 4);
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint144(bytes18(',"miscselectMask":')), 18), 4);
        to = _put(to, value, 4);
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint112(bytes14(',"attributes":')), 14), 16);
        to = _put(to, value, 16);
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint144(bytes18(',"attributesMask":')), 18), 16);
        to = _put(to, value, 16);
        (pos, to) = _longHex(JsonReader.literal(pos, uint96(bytes12(',"mrsigner":')), 12), to, 2);
        (value, pos) = JsonReader.number(JsonReader.literal(pos, uint104(bytes13(',"isvprodid":')), 13), 0xffff);
        to = _put(to, value, 2);
        (pos, to,) = _svnLevels(pos, to);
        pos = JsonReader.literal(pos, uint8(bytes1("}")), 1);
        JsonReader.finish(pos, end);
        _close(identity.content, to);
    }

    /* PARTS */

    function _sgx(uint256 pos, uint256 rest, uint256 length) private pure returns (uint256) {
        return JsonReader.literal(JsonReader.literal(pos, uint32(bytes4('SGX"')), 4), rest, length);
    }

    function _dates(uint256 pos) private pure returns (uint256 issueDate, uint256 nextUpdate, uint256 next) {
        (issueDate, pos) = JsonReader.time(JsonReader.literal(pos, uint104(bytes13(',"issueDate":')), 13));
        (nextUpdate, next) = JsonReader.time(JsonReader.literal(pos, uint112(bytes14(',"nextUpdate":')), 14));
    }

    function _evaluation(uint256 pos) private pure returns (uint256 evaluation, uint256 next) {
        return JsonReader.number(JsonReader.literal(pos, uint216(bytes27(',"tcbEvaluationDataNumber":')), 27), MAX_EVALUATION);
    }

    /// @dev `tdxModule`, and `tdxModuleIdentities` where they stand: version 0 and those by their ids, each once.
    function _modules(uint256 pos, uint256 to) private pure returns (uint256, uint256) {
        uint256 countAt = to;
        uint256 count = 1;
        uint256 seen = 1;
        to = _put(_put(to, 0, 1), 0, 1);
        (pos, to) = _module(JsonReader.literal(pos, uint112(bytes14(',"tdxModule":{')), 14), to);
        pos = JsonReader.literal(pos, uint8(bytes1("}")), 1);
        to = _put(to, 0, 1);
        if (JsonReader.startsWith(pos, uint192(bytes24(',"tdxModuleIdentities":[')), 24)) {
            pos += 24;
            bool another = !JsonReader.startsWith(pos, uint8(bytes1("]")), 1);
            if (!another) ++pos;
            while (another) {
                pos = JsonReader.literal(pos, uint88(bytes11('{"id":"TDX_')), 11);
                uint256 version = JsonReader.hexDigits(pos, 1);
                if (seen >> version & 1 != 0) revert JsonReader.JsonReaderMalformed(pos);
                seen |= 1 << version;
                to = _put(to, version, 1);
                (pos, to) = _module(JsonReader.literal(pos + 2, uint16(bytes2('",')), 2), to);
                (pos, to,) = _countedSvnLevels(pos, to);
                pos = JsonReader.literal(pos, uint8(bytes1("}")), 1);
                ++count;
                (another, pos) = JsonReader.more(pos, "]");
            }
        }
        _put(countAt, count, 1);
        return (pos, to);
    }

    /// @dev Signer, attributes and mask: the members of both forms of a module.
    function _module(uint256 pos, uint256 to) private pure returns (uint256, uint256) {
        (pos, to) = _longHex(JsonReader.literal(pos, uint88(bytes11('"mrsigner":')), 11), to, 3);
        uint256 value;
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint112(bytes14(',"attributes":')), 14), 8);
        to = _put(to, value, 8);
        (value, pos) = JsonReader.hexBytes(JsonReader.literal(pos, uint144(bytes18(',"attributesMask":')), 18), 8);
        return (pos, _put(to, value, 8));
    }

    function _countedSvnLevels(uint256 pos, uint256 to) private pure returns (uint256, uint256, uint256 count) {
        uint256 countAt = to;
        (pos, to, count) = _svnLevels(pos, to + 1);
        _put(countAt, count, 1);
        return (pos, to, count);
    }

    /// @dev Levels that one SVN decides.
    function _svnLevels(uint256 pos, uint256 to) private pure returns (uint256, uint256, uint256 count) {
        pos = JsonReader.literal(pos, uint112(bytes14(',"tcbLevels":[')), 14);
        bool another = !JsonReader.startsWith(pos, uint8(bytes1("]")), 1);
        if (!another) ++pos;
        while (another) {
            uint256 svn;
            uint256 status;
            (svn, pos) = JsonReader.number(JsonReader.literal(pos, uint136(bytes17('{"tcb":{"isvsvn":')), 17), 0xffff);
            (status, pos) = _verdict(JsonReader.literal(pos, uint8(bytes1("}")), 1));
            to = _put(_put(to, svn, 2), status, 1);
            if (++count > MAX_LEVELS) revert JsonReader.JsonReaderMalformed(pos);
            (another, pos) = JsonReader.more(pos, "]");
        }
        return (pos, to, count);
    }

    /// @dev Levels of platforms.
    function _levels(uint256 pos, uint256 to, bool tdx) private pure returns (uint256, uint256) {
        pos = JsonReader.literal(pos, uint112(bytes14(',"tcbLevels":[')), 14);
        bool another = !JsonReader.startsWith(pos, uint8(bytes1("]")), 1);
        if (!another) ++pos;
        uint256 count;
        while (another) {
            uint256 value;
            (value, pos) = _components(JsonReader.literal(pos, uint224(bytes28('{"tcb":{"sgxtcbcomponents":[')), 28));
            to = _put(to, value, 16);
            (value, pos) = JsonReader.number(JsonReader.literal(pos, uint80(bytes10(',"pcesvn":')), 10), 0xffff);
            to = _put(to, value, 2);
            if (tdx) {
                (value, pos) = _components(JsonReader.literal(pos, uint168(bytes21(',"tdxtcbcomponents":[')), 21));
                to = _put(to, value, 16);
            }
            (value, pos) = _verdict(JsonReader.literal(pos, uint8(bytes1("}")), 1));
            to = _put(to, value, 1);
            if (++count > MAX_LEVELS) revert JsonReader.JsonReaderMalformed(pos);
            (another, pos) = JsonReader.more(pos, "]");
        }
        return (pos, to);
    }

    /// @dev 16 SVNs, and the bracket behind them.
    function _components(uint256 pos) private pure returns (uint256 svns, uint256) {
        unchecked {
            for (uint256 index = 0; index < 16; ++index) {
                uint256 svn;
                (svn, pos) = JsonReader.number(JsonReader.literal(pos, uint56(bytes7('{"svn":')), 7), 255);
                svns = svns << 8 | svn;
                if (JsonReader.startsWith(pos, uint96(bytes12(',"category":')), 12)) pos = JsonReader.text(pos + 12, 64);
                if (JsonReader.startsWith(pos, uint64(bytes8(',"type":')), 8)) pos = JsonReader.text(pos + 8, 64);
                pos = index < 15 ? JsonReader.literal(pos, uint16(bytes2("},")), 2) : JsonReader.literal(pos, uint16(bytes2("}]")), 2);
            }
        }
        return (svns, pos);
    }

    /// @dev Date, status and advisories of a level, and the bracket behind them. Advisories explain the status and decide
    /// nothing: who wants them reads them in the document.
    function _verdict(uint256 pos) private pure returns (uint256 status, uint256) {
        (, pos) = JsonReader.time(JsonReader.literal(pos, uint88(bytes11(',"tcbDate":')), 11));
        (status, pos) = _status(JsonReader.literal(pos, uint104(bytes13(',"tcbStatus":')), 13));
        bool another;
        if (JsonReader.startsWith(pos, uint128(bytes16(',"advisoryIDs":[')), 16)) {
            pos += 16;
            another = !JsonReader.startsWith(pos, uint8(bytes1("]")), 1);
            if (!another) ++pos;
            uint256 count;
            while (another) {
                pos = JsonReader.text(pos, 64);
                if (++count > MAX_ADVISORIES) revert JsonReader.JsonReaderMalformed(pos);
                (another, pos) = JsonReader.more(pos, "]");
            }
        }
        return (status, JsonReader.literal(pos, uint8(bytes1("}")), 1));
    }

    /// @dev No two statuses have as many letters.
    function _status(uint256 pos) private pure returns (uint256 status, uint256 next) {
        next = JsonReader.text(pos, 40);
        uint256 length = next - pos - 2;
        bytes32 hash;
        assembly ("memory-safe") {
            let copy := mload(0x40)
            calldatacopy(copy, add(pos, 1), length)
            hash := keccak256(copy, length)
        }
        if (length == 8 && hash == keccak256("UpToDate")) status = 1;
        else if (length == 17 && hash == keccak256("SWHardeningNeeded")) status = 2;
        else if (length == 19 && hash == keccak256("ConfigurationNeeded")) status = 3;
        else if (length == 33 && hash == keccak256("ConfigurationAndSWHardeningNeeded")) status = 4;
        else if (length == 9 && hash == keccak256("OutOfDate")) status = 5;
        else if (length == 28 && hash == keccak256("OutOfDateConfigurationNeeded")) status = 6;
        else if (length == 7 && hash == keccak256("Revoked")) status = 7;
        else revert JsonReader.JsonReaderMalformed(pos);
    }

    /// @dev Hexadecimal in quotes of `blocks` times 16 bytes.
    function _longHex(uint256 pos, uint256 to, uint256 blocks) private pure returns (uint256, uint256) {
        pos = JsonReader.literal(pos, uint8(bytes1('"')), 1);
        for (uint256 index = 0; index < blocks; ++index) {
            to = _put(to, JsonReader.hexDigits(pos, 16), 16);
            pos += 32;
        }
        return (JsonReader.literal(pos, uint8(bytes1('"')), 1), to);
    }

    /* WRITING THE CONTENT: behind the free memory pointer, which moves when it is done */

    function _begin(bytes calldata json) private pure returns (uint256 pos, uint256 end, uint256 to) {
        if (json.length > MAX_LENGTH) revert IntelJsonTooLarge(json.length, MAX_LENGTH);
        assembly ("memory-safe") {
            pos := json.offset
            end := add(json.offset, json.length)
            // The content is shorter than the document. A word more: _put writes whole words.
            let content := mload(0x40)
            to := add(content, 0x20)
            mstore(0x40, add(to, and(add(json.length, 0x5f), not(0x1f))))
        }
    }

    function _open(uint256 to) private pure returns (bytes memory content) {
        assembly ("memory-safe") {
            content := sub(to, 0x20)
        }
    }

    function _close(bytes memory content, uint256 to) private pure {
        assembly ("memory-safe") {
            mstore(content, sub(to, add(content, 0x20)))
        }
    }

    /// @dev Writes the lowest `length` bytes of a value.
    function _put(uint256 to, uint256 value, uint256 length) private pure returns (uint256 next) {
        assembly ("memory-safe") {
            switch length
            case 1 { mstore8(to, value) }
            default { mstore(to, shl(sub(256, mul(8, length)), value)) }
            next := add(to, length)
        }
    }
}
