// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DerReader} from "./DerReader.sol";
import {RevocationList} from "./RevocationList.sol";

/// @notice What verification needs of an X.509 certificate with a P-256 key. Nothing in it is trusted yet.
/// @param digest sha256 of the signed part.
/// @param signatureR, signatureS ECDSA over the digest.
/// @param serialTag See {RevocationList}.
/// @param issuer keccak256 of the DER of the issuer's name.
/// @param issuerAt, subjectAt Where the names lie in the call's data (see {X509.commonNameOf}, {X509.hashOfName}).
/// @param subjectName keccak256 of the common name in the subject.
/// @param notBefore, notAfter Unix seconds, both inclusive.
/// @param keyX, keyY The certified key.
/// @param keyUsage The first byte of KeyUsage (RFC 5280 §4.2.1.3), bit 0 as the highest.
/// @param authorityKeyId, subjectKeyId keccak256 of the key ids; zero where there is none.
/// @param sgxStart, sgxEnd Where the SGX extension's contents lie in the call's data; zero where there is none.
struct Certificate {
    bytes32 digest;
    uint256 signatureR;
    uint256 signatureS;
    bytes16 serialTag;
    bytes32 issuer;
    uint256 issuerAt;
    uint256 subjectAt;
    bytes32 subjectName;
    uint256 notBefore;
    uint256 notAfter;
    uint256 keyX;
    uint256 keyY;
    uint256 keyUsage;
    bool isCa;
    bytes32 authorityKeyId;
    bytes32 subjectKeyId;
    uint256 sgxStart;
    uint256 sgxEnd;
}

/// @notice A certificate revocation list. Nothing in it is trusted yet.
/// @param issuer keccak256 of the DER of the issuer's name.
/// @param issuerAt Where that name lies in the call's data (see {X509.commonNameOf}).
/// @param thisUpdate, nextUpdate Unix seconds.
/// @param authorityKeyId keccak256 of the issuer's key id; zero where there is none.
/// @param revoked The tags of the serial numbers, ascending (see {RevocationList}).
struct Crl {
    bytes32 digest;
    uint256 signatureR;
    uint256 signatureS;
    bytes32 issuer;
    uint256 issuerAt;
    uint256 thisUpdate;
    uint256 nextUpdate;
    bytes32 authorityKeyId;
    bytes revoked;
}

/// @title X509
/// @notice Reads certificates and revocation lists (RFC 5280) strictly: version 3 and 2, DER, P-256, ECDSA with SHA-256,
/// no critical extension that it does not know.
library X509 {
    /// @param position Of what is well-formed and not supported, in bytes of the call's data.
    error X509Unsupported(uint256 position);
    error X509TooLarge(uint256 length, uint256 maximum);

    uint256 internal constant KEY_USAGE_SIGNS_DATA = 0x80;
    uint256 internal constant KEY_USAGE_SIGNS_CERTIFICATES = 0x04;
    uint256 internal constant KEY_USAGE_SIGNS_CRLS = 0x02;

    /// @dev Bytes. Real certificates have 1.3 kB; a list of this size costs more than a transaction may.
    uint256 private constant MAX_CERTIFICATE = 4096;
    uint256 private constant MAX_CRL = 262_144;

    /// @dev AlgorithmIdentifier of ECDSA with SHA-256, without parameters (RFC 5758 §3.2): 12 bytes.
    bytes32 private constant ECDSA_WITH_SHA256 = bytes32(hex"300a06082a8648ce3d040302");
    /// @dev SubjectPublicKeyInfo of a P-256 key up to the uncompressed point (RFC 5480): 27 bytes.
    bytes32 private constant P256_SPKI = bytes32(hex"3059301306072a8648ce3d020106082a8648ce3d03010703420004");

    /* A PART OF A NAME: SET of SEQUENCE of an OID of X.520 and a text */

    /// @dev Its first 11 bytes, with room for the last byte of the OID, the tag of the text, and three lengths.
    uint256 private constant NAME_PART = 0x3109_3007_06035504_00_00_00;
    /// @dev Where the length of the text counts.
    uint256 private constant NAME_LENGTHS = 0x0001_0001_00000000_00_00_01;
    /// @dev The tags of UTF8String, PrintableString and IA5String, as bits.
    uint256 private constant NAME_TEXTS = 1 << 0x0c | 1 << 0x13 | 1 << 0x16;
    /// @dev The last byte of its OID, 2.5.4.3.
    uint256 private constant COMMON_NAME = 3;

    /* OBJECT IDENTIFIERS as DerReader.oid gives them */

    uint256 private constant SUBJECT_KEY_ID = 0x03_551d0e << 224;
    uint256 private constant KEY_USAGE = 0x03_551d0f << 224;
    uint256 private constant BASIC_CONSTRAINTS = 0x03_551d13 << 224;
    uint256 private constant CRL_NUMBER = 0x03_551d14 << 224;
    uint256 private constant REASON_CODE = 0x03_551d15 << 224;
    uint256 private constant INVALIDITY_DATE = 0x03_551d18 << 224;
    uint256 private constant AUTHORITY_KEY_ID = 0x03_551d23 << 224;
    uint256 private constant INTEL_SGX = 0x09_2a864886f84d010d01 << 176;

    /// @notice Reads a certificate.
    function readCertificate(bytes calldata der) internal view returns (Certificate memory cert) {
        if (der.length > MAX_CERTIFICATE) revert X509TooLarge(der.length, MAX_CERTIFICATE);
        uint256 pos;
        uint256 end;
        (pos, end, cert.digest, cert.signatureR, cert.signatureS) = _readSigned(der);

        uint256 start;
        (start, pos) = DerReader.enter(pos, end, DerReader.CONTEXT_0);
        _version(start, pos, 2);
        uint256 serial;
        uint256 length;
        (serial, length, pos) = DerReader.unsigned(pos, end, DerReader.INTEGER);
        cert.serialTag = _serialTag(serial, length, pos);
        pos = _algorithm(pos, end);
        cert.issuerAt = pos;
        (cert.issuer, pos) = _name(pos, end);
        (start, pos) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        (cert.notBefore, start) = DerReader.time(start, pos);
        (cert.notAfter, start) = DerReader.time(start, pos);
        DerReader.finish(start, pos);
        cert.subjectAt = pos;
        (, pos) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        cert.subjectName = commonNameOf(cert.subjectAt);
        if (!_matches(pos, end, P256_SPKI, 27)) revert X509Unsupported(pos);
        if (pos + 91 > end) revert DerReader.DerReaderMalformed(pos);
        cert.keyX = DerReader.word(pos + 27);
        cert.keyY = DerReader.word(pos + 59);
        (start, pos) = DerReader.enter(pos + 91, end, DerReader.CONTEXT_3);
        DerReader.finish(pos, end);
        _readExtensions(cert, start, pos);
    }

    /// @notice Reads a complete, direct revocation list with a date of the next one.
    function readCrl(bytes calldata der) internal view returns (Crl memory crl) {
        if (der.length > MAX_CRL) revert X509TooLarge(der.length, MAX_CRL);
        uint256 pos;
        uint256 end;
        (pos, end, crl.digest, crl.signatureR, crl.signatureS) = _readSigned(der);

        pos = _version(pos, end, 1);
        pos = _algorithm(pos, end);
        crl.issuerAt = pos;
        (crl.issuer, pos) = _name(pos, end);
        (crl.thisUpdate, pos) = DerReader.time(pos, end);
        (crl.nextUpdate, pos) = DerReader.time(pos, end);
        if (DerReader.peek(pos, end) == DerReader.SEQUENCE) {
            uint256 start;
            (start, pos) = DerReader.enter(pos, end, DerReader.SEQUENCE);
            crl.revoked = _readRevoked(start, pos);
        }
        if (pos != end) {
            uint256 start;
            (start, pos) = DerReader.enter(pos, end, DerReader.CONTEXT_0);
            crl.authorityKeyId = _readCrlExtensions(start, pos);
        }
        DerReader.finish(pos, end);
    }

    /* THE SIGNED FORM: SEQUENCE of the signed part, the algorithm, the signature */

    /// @dev The contents of the signed part lie in [pos, end).
    function _readSigned(bytes calldata der)
        private
        view
        returns (uint256 pos, uint256 end, bytes32 digest, uint256 r, uint256 s)
    {
        uint256 outer;
        uint256 next;
        (pos, outer) = DerReader.range(der);
        (next, pos) = DerReader.enter(pos, outer, DerReader.SEQUENCE);
        DerReader.finish(pos, outer);
        uint256 from = next;
        (pos, end) = DerReader.enter(from, outer, DerReader.SEQUENCE);
        digest = _sha256(from, end);
        next = _algorithm(end, outer);

        // A BIT STRING of whole bytes around SEQUENCE {r, s} (RFC 3279 §2.2.3).
        uint256 stop;
        (from, stop) = DerReader.enter(next, outer, DerReader.BIT_STRING);
        DerReader.finish(stop, outer);
        from = DerReader.literal(from, stop, 0, 1);
        (from, next) = DerReader.enter(from, stop, DerReader.SEQUENCE);
        DerReader.finish(next, stop);
        (r,, from) = DerReader.unsigned(from, stop, DerReader.INTEGER);
        (s,, from) = DerReader.unsigned(from, stop, DerReader.INTEGER);
        DerReader.finish(from, stop);
    }

    function _algorithm(uint256 pos, uint256 end) private pure returns (uint256) {
        if (!_matches(pos, end, ECDSA_WITH_SHA256, 12)) revert X509Unsupported(pos);
        unchecked {
            return pos + 12;
        }
    }

    function _version(uint256 pos, uint256 end, uint256 expected) private pure returns (uint256 next) {
        uint256 version;
        (version, next) = DerReader.small(pos, end, 255);
        if (version != expected) revert X509Unsupported(pos);
        if (expected == 2) DerReader.finish(next, end);
    }

    function _matches(uint256 pos, uint256 end, bytes32 expected, uint256 length) private pure returns (bool) {
        unchecked {
            return pos + length <= end && (DerReader.word(pos) ^ uint256(expected)) >> (256 - 8 * length) == 0;
        }
    }

    /// @dev Positive, at most 20 bytes (RFC 5280 §4.1.2.2).
    function _serialTag(uint256 serial, uint256 length, uint256 next) private pure returns (bytes16) {
        if (serial == 0 || length > 20) revert DerReader.DerReaderMalformed(next - length);
        return RevocationList.tagOf(serial, length);
    }

    /* NAMES */

    /// @notice keccak256 of the one common name in a name. Names have only parts of X.520 here, one to a set, each a
    /// UTF8String, PrintableString or IA5String of at most 118 bytes.
    /// @param pos Where the name lies in the call's data; its end has been checked.
    function commonNameOf(uint256 pos) internal pure returns (bytes32 commonName) {
        (uint256 part, uint256 end) = DerReader.enter(pos, type(uint256).max, DerReader.SEQUENCE);
        uint256 wrong;
        unchecked {
            while (part < end) {
                // Its tags and lengths are the first 11 bytes, and the last length decides the others.
                uint256 header = DerReader.word(part) >> 168;
                uint256 length = header & 0xff;
                wrong |= header ^ (NAME_PART + NAME_LENGTHS * length + (header & 0xffff00));
                wrong |= (length + 9 >> 7) | (NAME_TEXTS >> (header >> 8 & 0xff) & 1) ^ 1;
                if (header >> 16 & 0xff == COMMON_NAME) {
                    wrong |= uint256(commonName);
                    commonName = _hash(part + 11, part + 11 + length);
                }
                part += 11 + length;
            }
        }
        if (wrong != 0 || part != end || commonName == 0) revert DerReader.DerReaderMalformed(pos);
    }

    /// @notice keccak256 of a whole name.
    /// @param pos As in {commonNameOf}.
    function hashOfName(uint256 pos) internal pure returns (bytes32 hash) {
        (hash,) = _name(pos, type(uint256).max);
    }

    function _name(uint256 pos, uint256 end) private pure returns (bytes32 hash, uint256 next) {
        (, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        hash = _hash(pos, next);
    }

    /* EXTENSIONS */

    function _readExtensions(Certificate memory cert, uint256 pos, uint256 end) private pure {
        uint256 next;
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        // Bit 0 basic constraints, 1 key usage.
        uint256 seen;
        while (pos != end) {
            uint256 position = pos;
            uint256 id;
            bool critical;
            uint256 value;
            (id, critical, value, pos) = _extension(pos, end);
            if (id == BASIC_CONSTRAINTS) {
                if (seen & 1 != 0) revert DerReader.DerReaderMalformed(position);
                seen |= 1;
                cert.isCa = _basicConstraints(value, pos);
            } else if (id == KEY_USAGE) {
                if (seen & 2 != 0) revert DerReader.DerReaderMalformed(position);
                seen |= 2;
                cert.keyUsage = _keyUsage(value, pos);
            } else if (id == AUTHORITY_KEY_ID) {
                if (cert.authorityKeyId != 0) revert DerReader.DerReaderMalformed(position);
                cert.authorityKeyId = _authorityKeyId(value, pos);
            } else if (id == SUBJECT_KEY_ID) {
                if (cert.subjectKeyId != 0) revert DerReader.DerReaderMalformed(position);
                (value, next) = DerReader.enter(value, pos, DerReader.OCTET_STRING);
                DerReader.finish(next, pos);
                cert.subjectKeyId = _hash(value, pos);
            } else if (id == INTEL_SGX && !critical) {
                if (cert.sgxEnd != 0) revert DerReader.DerReaderMalformed(position);
                (cert.sgxStart, cert.sgxEnd) = (value, pos);
            } else if (critical) {
                revert X509Unsupported(position);
            }
        }
        if (seen != 3) revert DerReader.DerReaderMalformed(end);
    }

    /// @dev The contents of the value lie in [value, next).
    function _extension(
        uint256 pos,
        uint256 end
    ) private pure returns (uint256 id, bool critical, uint256 value, uint256 next) {
        uint256 header = DerReader.word(pos);
        unchecked {
            // One of RFC 5280 in less than 128 bytes: its tags, lengths and id are the first bytes.
            if (header >> 208 & 0xff80ffffffff == 0x30000603551d) {
                id = (0x03_551d00 | header >> 200 & 0xff) << 224;
                next = pos + 2 + (header >> 240 & 0xff);
                value = pos + 9;
                uint256 octets = header >> 184 & 0xffff;
                if (header >> 176 & 0xffffff == 0x0101ff) {
                    (critical, value, octets) = (true, pos + 12, header >> 160 & 0xffff);
                }
                if (octets >> 8 != DerReader.OCTET_STRING || value + (octets & 0xff) != next || next > end) {
                    revert DerReader.DerReaderMalformed(pos);
                }
                return (id, critical, value, next);
            }
        }
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        (id, pos) = DerReader.oid(pos, next);
        (critical, pos) = DerReader.flag(pos, next);
        (value, pos) = DerReader.enter(pos, next, DerReader.OCTET_STRING);
        DerReader.finish(pos, next);
    }

    function _basicConstraints(uint256 pos, uint256 end) private pure returns (bool isCa) {
        uint256 next;
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        (isCa, pos) = DerReader.flag(pos, end);
        // A path length, which every CA below the root here may have: none issues another CA.
        if (isCa && pos != end) (, pos) = DerReader.small(pos, end, 16);
        DerReader.finish(pos, end);
    }

    function _keyUsage(uint256 pos, uint256 end) private pure returns (uint256) {
        (uint256 start, uint256 next) = DerReader.enter(pos, end, DerReader.BIT_STRING);
        DerReader.finish(next, end);
        uint256 bits = DerReader.word(start);
        unchecked {
            uint256 length = next - start;
            if (length < 2 || length > 3 || bits >> 248 > 7) revert DerReader.DerReaderMalformed(pos);
        }
        return bits >> 240 & 0xff;
    }

    /// @dev Only a key id: issuer and serial number must not stand there.
    function _authorityKeyId(uint256 pos, uint256 end) private pure returns (bytes32) {
        uint256 next;
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        (pos, next) = DerReader.enter(pos, end, 0x80);
        DerReader.finish(next, end);
        return _hash(pos, end);
    }

    /* REVOCATION LISTS */

    function _readRevoked(uint256 pos, uint256 end) private pure returns (bytes memory revoked) {
        // An entry takes 20 bytes and more; a tag 16.
        revoked = new bytes(end - pos);
        uint256 count;
        while (pos != end) {
            uint256 entry;
            (entry, pos) = DerReader.enter(pos, end, DerReader.SEQUENCE);
            uint256 serial;
            uint256 length;
            (serial, length, entry) = DerReader.unsigned(entry, pos, DerReader.INTEGER);
            count = RevocationList.insert(revoked, count, _serialTag(serial, length, entry));
            (, entry) = DerReader.time(entry, pos);
            if (entry == pos) continue;
            uint256 stop;
            (entry, stop) = DerReader.enter(entry, pos, DerReader.SEQUENCE);
            DerReader.finish(stop, pos);
            while (entry != stop) {
                uint256 position = entry;
                uint256 id;
                bool critical;
                (id, critical,, entry) = _extension(entry, stop);
                if (critical && id != REASON_CODE && id != INVALIDITY_DATE) revert X509Unsupported(position);
            }
        }
        assembly ("memory-safe") {
            mstore(revoked, mul(count, 16))
        }
    }

    function _readCrlExtensions(uint256 pos, uint256 end) private pure returns (bytes32 authorityKeyId) {
        uint256 next;
        (pos, next) = DerReader.enter(pos, end, DerReader.SEQUENCE);
        DerReader.finish(next, end);
        while (pos != end) {
            uint256 position = pos;
            uint256 id;
            bool critical;
            uint256 value;
            (id, critical, value, pos) = _extension(pos, end);
            if (id == AUTHORITY_KEY_ID) {
                if (authorityKeyId != 0) revert DerReader.DerReaderMalformed(position);
                authorityKeyId = _authorityKeyId(value, pos);
            } else if (critical && id != CRL_NUMBER) {
                revert X509Unsupported(position);
            }
        }
    }

    function _sha256(uint256 start, uint256 end) private view returns (bytes32 hash) {
        assembly ("memory-safe") {
            let length := sub(end, start)
            let copy := mload(0x40)
            calldatacopy(copy, start, length)
            // Fails for want of gas only. Under a hash of zero anyone signs for any key.
            if iszero(staticcall(gas(), 2, copy, length, 0x00, 0x20)) { revert(0, 0) }
            hash := mload(0x00)
        }
    }

    function _hash(uint256 start, uint256 end) private pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let length := sub(end, start)
            let copy := mload(0x40)
            calldatacopy(copy, start, length)
            hash := keccak256(copy, length)
        }
    }
}
