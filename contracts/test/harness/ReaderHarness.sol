// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calendar} from "../../src/libraries/Calendar.sol";
import {DerReader} from "../../src/libraries/DerReader.sol";
import {IntelJson, QeIdentity, TcbInfo} from "../../src/libraries/IntelJson.sol";
import {JsonReader} from "../../src/libraries/JsonReader.sol";
import {PckExtension, PckFields} from "../../src/libraries/PckExtension.sol";
import {QeFacts, TcbFormat} from "../../src/libraries/TcbFormat.sol";
import {Certificate, Crl, X509} from "../../src/libraries/X509.sol";

/// @notice The readers of Intel's collateral as external functions. Positions are those in the argument.
contract ReaderHarness {
    /* WHOLE DOCUMENTS */

    function certificate(bytes calldata der) external view returns (Certificate memory) {
        return X509.readCertificate(der);
    }

    /// @return issuerName keccak256 of the issuer's common name.
    function issuerName(bytes calldata der) external view returns (bytes32) {
        return X509.commonNameOf(X509.readCertificate(der).issuerAt);
    }

    function pck(bytes calldata der) external view returns (PckFields memory) {
        Certificate memory cert = X509.readCertificate(der);
        return PckExtension.read(cert.sgxStart, cert.sgxEnd);
    }

    function crl(bytes calldata der) external view returns (Crl memory) {
        return X509.readCrl(der);
    }

    function tcbInfo(bytes calldata json) external pure returns (TcbInfo memory) {
        return IntelJson.readTcbInfo(json);
    }

    function qeIdentity(bytes calldata json) external pure returns (QeIdentity memory) {
        return IntelJson.readQeIdentity(json);
    }

    /* DER */

    function sgxExtension(bytes calldata der) external pure returns (PckFields memory) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        return PckExtension.read(pos, end);
    }

    function commonName(bytes calldata der) external pure returns (bytes32) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        (, uint256 next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        return X509.commonNameOf(pos);
    }

    function enter(bytes calldata der, uint256 tag) external pure returns (uint256 start, uint256 next) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        (start, next) = DerReader.enter(pos, end, tag);
        return (start - pos, next - pos);
    }

    function oid(bytes calldata der) external pure returns (uint256 id, uint256 next) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        (id, next) = DerReader.oid(pos, end);
        next -= pos;
    }

    function unsigned(bytes calldata der) external pure returns (uint256 value, uint256 length, uint256 next) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        (value, length, next) = DerReader.unsigned(pos, end, DerReader.INTEGER);
        next -= pos;
    }

    function time(bytes calldata der) external pure returns (uint256 seconds_) {
        (uint256 pos, uint256 end) = DerReader.range(der);
        (seconds_, pos) = DerReader.time(pos, end);
        DerReader.finish(pos, end);
    }

    /// @param length Of the part that may be read; what lies behind it is another's.
    function timeWithin(bytes calldata der, uint256 length) external pure returns (uint256 seconds_, uint256 next) {
        (uint256 pos,) = DerReader.range(der);
        (seconds_, next) = DerReader.time(pos, pos + length);
        next -= pos;
    }

    function flagWithin(bytes calldata der, uint256 length) external pure returns (bool value, uint256 next) {
        (uint256 pos,) = DerReader.range(der);
        (value, next) = DerReader.flag(pos, pos + length);
        next -= pos;
    }

    /* JSON: the whole argument is one value */

    function number(bytes calldata json, uint256 max) external pure returns (uint256 value) {
        (uint256 pos, uint256 end) = DerReader.range(json);
        (value, pos) = JsonReader.number(pos, max);
        JsonReader.finish(pos, end);
    }

    function text(bytes calldata json, uint256 max) external pure {
        (uint256 pos, uint256 end) = DerReader.range(json);
        JsonReader.finish(JsonReader.text(pos, max), end);
    }

    function hexBytes(bytes calldata json, uint256 length) external pure returns (uint256 value) {
        (uint256 pos, uint256 end) = DerReader.range(json);
        (value, pos) = JsonReader.hexBytes(pos, length);
        JsonReader.finish(pos, end);
    }

    function jsonTime(bytes calldata json) external pure returns (uint256 seconds_) {
        (uint256 pos, uint256 end) = DerReader.range(json);
        (seconds_, pos) = JsonReader.time(pos);
        JsonReader.finish(pos, end);
    }

    /* DATES */

    function fromDigits(uint256 digits) external pure returns (bool, uint256) {
        return Calendar.fromDigits(digits);
    }

    /* VERDICTS */

    function statusOfTdx(
        bytes calldata content,
        bytes16 components,
        uint16 pceSvn,
        bytes16 teeTcbSvn
    ) external pure returns (uint8) {
        return TcbFormat.statusOfTdx(content, components, pceSvn, teeTcbSvn);
    }

    /// @param behind Lies behind the content in memory.
    function statusOfTdxBefore(
        bytes memory content,
        bytes memory behind,
        bytes16 teeTcbSvn
    ) external pure returns (uint8, uint256) {
        return (TcbFormat.statusOfTdx(content, 0, 0, teeTcbSvn), behind.length);
    }

    function isModule(
        bytes calldata content,
        bytes32 mrSigner,
        bytes16 mrSignerRest,
        bytes8 attributes
    ) external pure returns (bool) {
        return TcbFormat.isModule(content, 1, mrSigner, mrSignerRest, attributes);
    }

    function statusOfSgx(bytes calldata content, bytes16 components, uint16 pceSvn) external pure returns (uint8) {
        return TcbFormat.statusOfSgx(content, components, pceSvn);
    }

    /// @return place Of the module, 0 where it is unknown.
    /// @return status Of its SVN.
    function module(bytes calldata content, uint8 version, uint8 svn) external pure returns (uint256 place, uint8 status) {
        place = TcbFormat.findModule(content, version);
        if (place != 0) status = TcbFormat.statusOfModule(content, place, svn);
    }

    function isQe(bytes calldata identity, QeFacts calldata facts) external pure returns (bool) {
        return TcbFormat.isQe(identity, facts);
    }

    function statusOfQe(bytes calldata identity, uint16 isvSvn) external pure returns (uint8) {
        return TcbFormat.statusOfQe(identity, isvSvn);
    }

    function merge(uint8 platform, uint8 part) external pure returns (uint8) {
        return TcbFormat.merge(platform, part);
    }
}
