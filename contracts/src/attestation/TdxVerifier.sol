// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ids} from "../libraries/Ids.sol";
import {TcbFormat} from "../libraries/TcbFormat.sol";
import {ICollateralStore} from "./ICollateralStore.sol";
import {EvidenceClaims} from "./IEvidenceVerifier.sol";
import {IPckRegistry, IPckRegistryTypes} from "./IPckRegistry.sol";
import {ITdxVerifier} from "./ITdxVerifier.sol";
import {QuoteVerifier} from "./QuoteVerifier.sol";

/// @title TdxVerifier
contract TdxVerifier is ITdxVerifier, QuoteVerifier {
    uint32 private constant TEE_TYPE = 0x81;

    /* FORM OF A TD REPORT ("TDX DCAP Quoting Library API", appendix 3.2): offsets in bytes */

    uint256 private constant MR_SIGNER_SEAM_AT = 64;
    uint256 private constant SEAM_ATTRIBUTES_AT = 112;
    uint256 private constant TD_ATTRIBUTES_AT = 120;
    uint256 private constant MRTD_AT = 136;
    uint256 private constant MRCONFIGID_AT = 184;
    uint256 private constant RTMR0_AT = 328;
    uint256 private constant TD_REPORT_DATA_AT = 520;
    uint256 private constant SERVICE_TD_AT = 600;
    uint256 private constant REGISTER_LENGTH = 48;
    uint256 private constant TD_10_LENGTH = 584;
    uint256 private constant TD_15_LENGTH = 648;

    /* TD ATTRIBUTES (Intel, "TDX Module ABI", table "ATTRIBUTES") */

    uint64 private constant SEPT_VE_DISABLE = 1 << 28;
    /// @dev And protection keys, key locker, performance monitoring. Bit 0 is DEBUG; the others are reserved.
    uint64 private constant ALLOWED_ATTRIBUTES = SEPT_VE_DISABLE | 1 << 30 | 1 << 31 | 1 << 63;

    constructor(
        ICollateralStore collateralStore,
        IPckRegistry registry
    ) QuoteVerifier(collateralStore, registry, Ids.TEE_TDX) {}

    function _readQuote(
        bytes calldata quote,
        EvidenceClaims memory claims
    ) internal pure override returns (ModuleFacts memory module) {
        unchecked {
            bytes calldata body = _bodyOf(quote);

            uint64 attributes = _reversed(bytes8(_word(body, TD_ATTRIBUTES_AT)));
            if (attributes & ~ALLOWED_ATTRIBUTES != 0 || attributes & SEPT_VE_DISABLE == 0) {
                revert TdxVerifierAttributes(attributes);
            }
            if (body.length == TD_15_LENGTH) {
                bytes32 head = _word(body, SERVICE_TD_AT);
                bytes16 rest = bytes16(_word(body, SERVICE_TD_AT + 32));
                if (head != 0 || rest != 0) revert TdxVerifierServiceTd(head, rest);
            }

            (claims.imageId, claims.configId) = _identityOf(body);
            claims.reportDataHead = _word(body, TD_REPORT_DATA_AT);
            claims.reportDataTail = _word(body, TD_REPORT_DATA_AT + 32);
            module.teeTcbSvn = bytes16(_word(body, 0));
            module.mrSigner = _word(body, MR_SIGNER_SEAM_AT);
            module.mrSignerRest = bytes16(_word(body, MR_SIGNER_SEAM_AT + 32));
            module.attributes = bytes8(_word(body, SEAM_ATTRIBUTES_AT));
        }
    }

    /// @dev What runs, and what it was started with: {Ids.tdxConfig} says which of two forms it has.
    function _identityOf(bytes calldata body) private pure returns (bytes32 imageId, bytes32 configId) {
        unchecked {
            bytes32 head = _word(body, MRCONFIGID_AT);
            bytes16 rest = bytes16(_word(body, MRCONFIGID_AT + 32));
            bool known;
            bool dstack;
            (known, dstack, configId) = Ids.tdxConfig(head, rest);
            if (!known) revert TdxVerifierConfigForm(head, rest);

            bytes calldata mrtd = _slice(body, MRTD_AT, REGISTER_LENGTH);
            bytes calldata rtmrs = _slice(body, RTMR0_AT, 3 * REGISTER_LENGTH);
            imageId = dstack ? Ids.dstackImageId(mrtd, rtmrs, configId) : Ids.tdxImageId(mrtd, rtmrs);
        }
    }

    /// @dev Byte 0 of teeTcbSvn is the module's SVN, byte 1 its version, which tells its identity; version 0 has no levels.
    function _statusOf(
        bytes memory tcbInfo,
        IPckRegistryTypes.Platform memory platform,
        bytes16 teeTcbSvn
    ) internal pure override returns (uint8 status, uint8 moduleStatus, uint256 place) {
        uint8 version = uint8(teeTcbSvn[1]);
        place = TcbFormat.findModule(tcbInfo, version);
        if (place == 0) return (0, 0, 0);
        moduleStatus = version == 0 ? 1 : TcbFormat.statusOfModule(tcbInfo, place, uint8(teeTcbSvn[0]));
        status = TcbFormat.statusOfTdx(tcbInfo, platform.components, platform.pceSvn, teeTcbSvn);
    }

    function _checkModule(
        bytes memory tcbInfo,
        ModuleFacts memory module,
        uint8 moduleStatus,
        uint256 place
    ) internal pure override {
        uint8 version = uint8(module.teeTcbSvn[1]);
        if (place == 0) revert TdxVerifierModuleUnknown(version);
        if (!TcbFormat.isModule(tcbInfo, place, module.mrSigner, module.mrSignerRest, module.attributes)) {
            revert TdxVerifierModuleMismatch(module.mrSigner, module.mrSignerRest, module.attributes);
        }
        if (moduleStatus == 0) revert TdxVerifierModuleLevelNotFound(version, uint8(module.teeTcbSvn[0]));
    }

    /// @dev The TD report: behind the header, and in version 5 behind its type and length.
    function _bodyOf(bytes calldata quote) private pure returns (bytes calldata) {
        unchecked {
            uint16 version = _checkHeader(quote, TEE_TYPE);
            uint256 bodyAt = HEADER_LENGTH;
            uint256 length = TD_10_LENGTH;
            if (version == 5) {
                bytes32 described = _word(quote, HEADER_LENGTH);
                uint16 bodyType = _littleEndian16(described);
                uint32 bodyLength =
                    uint32(_littleEndian16(described << 16)) | uint32(_littleEndian16(described << 32)) << 16;
                if (bodyType == 3) length = TD_15_LENGTH;
                if (bodyType < 2 || bodyType > 3 || bodyLength != length) revert TdxVerifierBody(bodyType, bodyLength);
                bodyAt += 6;
            } else if (version != 4) {
                revert QuoteVerifierQuoteVersion(version);
            }
            if (quote.length != bodyAt + length) revert QuoteVerifierLength(quote.length, bodyAt + length);
            return quote[bodyAt:];
        }
    }

    /// @dev The body's length has been found to hold it.
    function _slice(
        bytes calldata body,
        uint256 offset,
        uint256 length
    ) private pure returns (bytes calldata slice) {
        assembly ("memory-safe") {
            slice.offset := add(body.offset, offset)
            slice.length := length
        }
    }

    function _reversed(bytes8 value) private pure returns (uint64 number) {
        number = uint64(value);
        number = number >> 8 & 0x00ff00ff00ff00ff | (number & 0x00ff00ff00ff00ff) << 8;
        number = number >> 16 & 0x0000ffff0000ffff | (number & 0x0000ffff0000ffff) << 16;
        number = number >> 32 | number << 32;
    }
}
