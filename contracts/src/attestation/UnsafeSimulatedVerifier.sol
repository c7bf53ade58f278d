// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ids} from "../libraries/Ids.sol";
import {P256Verify} from "../libraries/P256Verify.sol";
import {EvidenceClaims, IEvidenceVerifier} from "./IEvidenceVerifier.sol";
import {IUnsafeSimulatedVerifier} from "./IUnsafeSimulatedVerifier.sol";

/// @title UnsafeSimulatedVerifier
/// @notice For development networks only; every claim it returns is marked simulated.
contract UnsafeSimulatedVerifier is IUnsafeSimulatedVerifier {
    /// @inheritdoc IUnsafeSimulatedVerifier
    uint256 public immutable ROOT_X;

    /// @inheritdoc IUnsafeSimulatedVerifier
    uint256 public immutable ROOT_Y;

    /// @inheritdoc IUnsafeSimulatedVerifier
    uint256 public immutable CHAIN_ID;

    string private constant ENDORSEMENT_TAG = "cloister/unsafe-simulated-endorsement: v1";

    /* FORM OF THE EVIDENCE: offsets in bytes */

    uint256 private constant EVIDENCE_LENGTH = 832;
    uint256 private constant QUOTE_PART_AT = 192;
    uint256 private constant QUOTE_PART_LENGTH = 632;

    /* FORM OF THE QUOTE (Intel TDX DCAP Quote, version 4): offsets in the quote part, whose first 48 bytes are the header */

    uint256 private constant TD_ATTRIBUTES_AT = 48 + 120;
    uint256 private constant MRTD_AT = 48 + 136;
    uint256 private constant MRCONFIGID_AT = 48 + 184;
    uint256 private constant RTMR0_AT = 48 + 328;
    uint256 private constant REPORT_DATA_AT = 48 + 520;
    uint256 private constant REGISTER_LENGTH = 48;

    /// @param chainId Stated by the deployer so that a script meant for one chain can't bring the verifier to another.
    constructor(uint256 rootX, uint256 rootY, uint256 chainId) {
        if (chainId != block.chainid) revert UnsafeSimulatedVerifierWrongChain(chainId, block.chainid);
        if (rootX == 0 || rootY == 0) revert UnsafeSimulatedVerifierRootMissing(rootX, rootY);
        ROOT_X = rootX;
        ROOT_Y = rootY;
        CHAIN_ID = chainId;
    }

    /// @inheritdoc IEvidenceVerifier
    function verify(bytes calldata evidence) external view returns (EvidenceClaims memory claims) {
        // The chain may have been forked since: evidence for one side must not hold on the other.
        if (block.chainid != CHAIN_ID) revert UnsafeSimulatedVerifierWrongChain(CHAIN_ID, block.chainid);

        // Read by hand, not by abi.decode, which would refuse without a name.
        if (
            evidence.length != EVIDENCE_LENGTH || _word(evidence, 0) != 160
                || _word(evidence, 160) != QUOTE_PART_LENGTH || _word(evidence, 32) << 128 != 0
                || _word(evidence, 64) > type(uint64).max
        ) revert UnsafeSimulatedVerifierMalformed(evidence.length);
        bytes calldata quotePart = evidence[QUOTE_PART_AT:QUOTE_PART_AT + QUOTE_PART_LENGTH];
        bytes16 platformId = bytes16(evidence[32:48]);
        uint64 validUntil = uint64(_word(evidence, 64));

        _checkHeader(quotePart);
        _checkSignature(quotePart, platformId, validUntil, _word(evidence, 96), _word(evidence, 128));

        claims.teeType = Ids.TEE_TDX;
        claims.simulated = true;
        // claims.debug stays false: _checkHeader refuses a quote that says otherwise.
        claims.validUntil = validUntil;
        claims.imageId = Ids.tdxImageId(
            _register(quotePart, MRTD_AT),
            _register(quotePart, RTMR0_AT),
            _register(quotePart, RTMR0_AT + REGISTER_LENGTH),
            _register(quotePart, RTMR0_AT + 2 * REGISTER_LENGTH)
        );
        claims.configId = _configId(quotePart);
        claims.platformId = bytes32(platformId);
        claims.evidenceHash = keccak256(quotePart);
        claims.reportDataHead = bytes32(_word(quotePart, REPORT_DATA_AT));
        claims.reportDataTail = bytes32(_word(quotePart, REPORT_DATA_AT + 32));
    }

    /// @inheritdoc IUnsafeSimulatedVerifier
    function endorsementDigest(
        bytes calldata quotePart,
        bytes16 platformId,
        uint64 validUntil
    ) public view returns (bytes32) {
        return sha256(abi.encodePacked(ENDORSEMENT_TAG, CHAIN_ID, keccak256(quotePart), platformId, validUntil));
    }

    function _checkHeader(bytes calldata quotePart) private pure {
        uint16 version = _littleEndian16(bytes2(quotePart[0:2]));
        if (version != 4) revert UnsafeSimulatedVerifierQuoteVersion(version);
        uint16 keyType = _littleEndian16(bytes2(quotePart[2:4]));
        if (keyType != 2) revert UnsafeSimulatedVerifierAttestationKeyType(keyType);
        uint32 teeType = _littleEndian32(bytes4(quotePart[4:8]));
        if (teeType != 0x81) revert UnsafeSimulatedVerifierTeeType(teeType);
        // Bits 7:0 are the group TUD: DEBUG is bit 0, the others are reserved, and any of them makes a TD untrusted.
        if (quotePart[TD_ATTRIBUTES_AT] != 0) {
            revert UnsafeSimulatedVerifierDebug(
                uint64(_littleEndian32(bytes4(quotePart[TD_ATTRIBUTES_AT:TD_ATTRIBUTES_AT + 4])))
                    | uint64(_littleEndian32(bytes4(quotePart[TD_ATTRIBUTES_AT + 4:TD_ATTRIBUTES_AT + 8]))) << 32
            );
        }
    }

    function _checkSignature(
        bytes calldata quotePart,
        bytes16 platformId,
        uint64 validUntil,
        uint256 r,
        uint256 s
    ) private view {
        bytes32 digest = endorsementDigest(quotePart, platformId, validUntil);
        if (!P256Verify.isValid(digest, r, s, ROOT_X, ROOT_Y)) revert UnsafeSimulatedVerifierSignature(digest);
    }

    function _configId(bytes calldata quotePart) private pure returns (bytes32) {
        bytes16 padding = bytes16(quotePart[MRCONFIGID_AT + 32:MRCONFIGID_AT + 48]);
        if (padding != 0) revert UnsafeSimulatedVerifierConfigPadding(padding);
        return bytes32(_word(quotePart, MRCONFIGID_AT));
    }

    function _register(bytes calldata quotePart, uint256 offset) private pure returns (bytes calldata) {
        return quotePart[offset:offset + REGISTER_LENGTH];
    }

    function _word(bytes calldata data, uint256 offset) private pure returns (uint256) {
        return uint256(bytes32(data[offset:offset + 32]));
    }

    function _littleEndian16(bytes2 value) private pure returns (uint16) {
        return uint16(uint8(value[0])) | uint16(uint8(value[1])) << 8;
    }

    function _littleEndian32(bytes4 value) private pure returns (uint32) {
        return uint32(_littleEndian16(bytes2(value))) | uint32(_littleEndian16(bytes2(value << 16))) << 16;
    }
}
