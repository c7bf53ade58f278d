// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeBlob} from "../libraries/CodeBlob.sol";
import {P256Verify} from "../libraries/P256Verify.sol";
import {RevocationList} from "../libraries/RevocationList.sol";
import {QeFacts, TcbFormat} from "../libraries/TcbFormat.sol";
import {ICollateralStore, ICollateralStoreTypes} from "./ICollateralStore.sol";
import {EvidenceClaims, IEvidenceVerifier} from "./IEvidenceVerifier.sol";
import {IPckRegistry, IPckRegistryTypes} from "./IPckRegistry.sol";
import {IQuoteVerifier} from "./IQuoteVerifier.sol";

/// @title QuoteVerifier
/// @notice What quotes of all TEE types share: signatures, the quoting enclave, collateral, and what is remembered.
/// @dev A verdict is remembered under a hash of everything that it rests on besides collateral, so that finding it proves
/// that exactly these facts were judged; for keys, under a hash of these facts and a key that was proven with them.
abstract contract QuoteVerifier is IQuoteVerifier {
    /// @notice What a TD report says of the module under it, judged with the platform; zero for SGX.
    /// @param mrSigner, mrSignerRest The first 32 bytes of MRSIGNERSEAM and the other 16.
    struct ModuleFacts {
        bytes16 teeTcbSvn;
        bytes32 mrSigner;
        bytes16 mrSignerRest;
        bytes8 attributes;
    }

    /// @param version Of the store, when it was made.
    /// @param shape See {TcbFormat.shapeOf}.
    /// @param validUntil Unix seconds.
    struct Verdict {
        uint24 version;
        bytes6 shape;
        bytes16 ppid;
        uint32 validUntil;
        uint16 evaluation;
        uint8 status;
    }

    /// @notice What there is to judge by.
    struct Basis {
        IPckRegistryTypes.Platform platform;
        ICollateralStoreTypes.Collateral collateral;
        bytes tcbInfo;
        bytes qeIdentity;
        uint256 validUntil;
        bool revoked;
    }

    uint256 private constant FORM_FULL = 1;
    uint256 private constant FORM_REMEMBER = 2;
    uint256 private constant FORM_KNOWN_KEY = 3;

    /* FORMS OF THE EVIDENCE: offsets in bytes; the first field of all begins at 1 */

    uint256 private constant FULL_SIGNATURE_AT = 65;
    uint256 private constant FULL_REPORT_AT = 129;
    uint256 private constant FULL_REPORT_SIGNATURE_AT = 513;
    uint256 private constant FULL_AUTH_LENGTH_AT = 577;
    uint256 private constant FULL_KEY_AT = 579;
    uint256 private constant FULL_AUTH_AT = 643;
    uint256 private constant KNOWN_SIGNATURE_AT = 33;
    uint256 private constant KNOWN_KEY_AT = 97;
    uint256 private constant KNOWN_FACTS_AT = 161;
    uint256 private constant KNOWN_QUOTE_AT = 217;

    /* FORM OF AN ENCLAVE'S REPORT (Intel SDM vol. 3D, table 38-21): offsets in bytes */

    uint256 private constant MISC_SELECT_AT = 16;
    uint256 internal constant ATTRIBUTES_AT = 48;
    uint256 private constant MR_SIGNER_AT = 128;
    uint256 private constant ISV_PROD_ID_AT = 256;
    uint256 internal constant REPORT_DATA_AT = 320;

    /* FORM OF A QUOTE'S HEADER ("TDX DCAP Quoting Library API", appendix 3.1): offsets in bytes */

    uint256 internal constant HEADER_LENGTH = 48;
    uint256 private constant VENDOR_AT = 12;
    bytes16 private constant INTEL_QE_VENDOR = 0x939a7233f79c4ca9940a0db3957f0607;
    uint16 private constant ECDSA_P256 = 2;

    /// @dev A verdict that ends sooner is judged anew: there may be collateral that lasts longer.
    uint256 private constant FRESH_SECONDS = 1 days;

    /// @inheritdoc IQuoteVerifier
    ICollateralStore public immutable store;
    /// @inheritdoc IQuoteVerifier
    IPckRegistry public immutable pckRegistry;

    uint8 private immutable _teeType;
    bool private immutable _simulated;

    mapping(bytes32 facts => uint256 verdict) private _verdicts;

    constructor(ICollateralStore collateralStore, IPckRegistry registry, uint8 teeType) {
        if (address(collateralStore).code.length == 0 || address(registry).code.length == 0) {
            revert QuoteVerifierWithoutCode(address(collateralStore), address(registry));
        }
        address other = address(registry.store());
        if (other != address(collateralStore)) revert QuoteVerifierStoresDiffer(address(collateralStore), other);
        store = collateralStore;
        pckRegistry = registry;
        _teeType = teeType;
        _simulated = collateralStore.simulated();
    }

    /// @inheritdoc IEvidenceVerifier
    function verify(bytes calldata evidence) external returns (EvidenceClaims memory claims) {
        (uint256 form, bytes calldata quote) = _split(evidence);
        ModuleFacts memory module = _readQuote(quote, claims);
        bool known = form == FORM_KNOWN_KEY;
        _checkSignature(evidence, quote, known ? KNOWN_SIGNATURE_AT : FULL_SIGNATURE_AT, known);
        bytes32 platformKey = known ? _word(evidence, 1) : _checkQe(evidence, quote);
        QeFacts memory qe = _qeFacts(evidence, known);

        bytes32 facts = keccak256(abi.encode(platformKey, qe, module));
        bytes32 key = _keyId(facts, evidence, known);
        Verdict memory verdict = _unpack(_verdicts[known ? key : facts]);
        if (known && verdict.version == 0) revert QuoteVerifierKeyUnknown(platformKey, key);
        if (verdict.version != store.version() || verdict.validUntil < block.timestamp + FRESH_SECONDS) {
            verdict = _judge(platformKey, qe, module);
            _verdicts[known ? key : facts] = _pack(verdict);
        }
        if (form == FORM_REMEMBER) _verdicts[key] = _pack(verdict);

        claims.teeType = _teeType;
        claims.attestedBy = 1;
        claims.simulated = _simulated;
        claims.tcbStatus = verdict.status;
        claims.tcbEvaluationDataNumber = verdict.evaluation;
        claims.validUntil = verdict.validUntil;
        claims.platformId = verdict.ppid;
        claims.evidenceHash = keccak256(quote);
        claims.platformKey = platformKey;
        claims.tcb = bytes32(module.teeTcbSvn) | bytes32(uint256(qe.isvSvn) << 112) | bytes32(verdict.shape) >> 208;
    }

    /// @inheritdoc IEvidenceVerifier
    function recheck(
        bytes32 platformKey,
        bytes32 tcb
    ) external view returns (uint8 tcbStatus, uint32 tcbEvaluationDataNumber, uint64 validUntil) {
        Basis memory basis = _basisOf(platformKey);
        tcbEvaluationDataNumber = _evaluation(basis.collateral);
        validUntil = uint64(basis.validUntil);
        if (basis.revoked) return (7, tcbEvaluationDataNumber, validUntil);
        bytes16 teeTcbSvn = bytes16(tcb);
        uint8 qeStatus = TcbFormat.statusOfQe(basis.qeIdentity, uint16(uint256(tcb) >> 112));
        (uint8 status, uint8 moduleStatus, uint256 place) = _statusOf(basis.tcbInfo, basis.platform, teeTcbSvn);
        bytes6 shape = TcbFormat.shapeOf(basis.qeIdentity, basis.tcbInfo, place);
        bool vouched = qeStatus != 0 && moduleStatus != 0 && status != 0 && shape == bytes6(tcb << 208);
        tcbStatus = vouched ? TcbFormat.merge(TcbFormat.merge(status, moduleStatus), qeStatus) : 7;
    }

    /// @inheritdoc IQuoteVerifier
    function isKnownKey(bytes calldata evidence) external view returns (bool) {
        (uint256 form, bytes calldata quote) = _split(evidence);
        if (form != FORM_KNOWN_KEY) revert QuoteVerifierForm(form);
        EvidenceClaims memory ignored;
        ModuleFacts memory module = _readQuote(quote, ignored);
        bytes32 facts = keccak256(abi.encode(_word(evidence, 1), _qeFacts(evidence, true), module));
        return _verdicts[_keyId(facts, evidence, true)] != 0;
    }

    /* WHAT DIFFERS BY TEE TYPE */

    /// @dev Checks the quote's form and refuses what hides nothing; fills in image, configuration and report data.
    function _readQuote(
        bytes calldata quote,
        EvidenceClaims memory claims
    ) internal view virtual returns (ModuleFacts memory);

    /// @dev Statuses of the platform and of its module, 0 where a level is missing, and where the module stands.
    function _statusOf(
        bytes memory tcbInfo,
        IPckRegistryTypes.Platform memory platform,
        bytes16 teeTcbSvn
    ) internal pure virtual returns (uint8 status, uint8 moduleStatus, uint256 place);

    /// @dev Refuses a module that is not as Intel describes it.
    function _checkModule(
        bytes memory tcbInfo,
        ModuleFacts memory module,
        uint8 moduleStatus,
        uint256 place
    ) internal pure virtual;

    /* THE QUOTE */

    /// @dev Form of the evidence, and header and body of the quote in it.
    function _split(bytes calldata evidence) private pure returns (uint256 form, bytes calldata quote) {
        unchecked {
            if (evidence.length == 0) revert QuoteVerifierLength(0, 1);
            form = uint8(evidence[0]);
            if (form == 0 || form > FORM_KNOWN_KEY) revert QuoteVerifierForm(form);
            uint256 least = form == FORM_KNOWN_KEY ? KNOWN_QUOTE_AT : FULL_AUTH_AT;
            if (form != FORM_KNOWN_KEY && evidence.length >= least) least += _authLength(evidence);
            if (evidence.length < least + HEADER_LENGTH + 6) {
                revert QuoteVerifierLength(evidence.length, least + HEADER_LENGTH + 6);
            }
            quote = evidence[least:];
        }
    }

    function _authLength(bytes calldata evidence) private pure returns (uint256) {
        return uint256(_word(evidence, FULL_AUTH_LENGTH_AT)) >> 240;
    }

    /// @dev What all headers have in common.
    /// @return version Of the quote.
    function _checkHeader(bytes calldata quote, uint32 teeType) internal pure returns (uint16 version) {
        bytes32 header = _word(quote, 0);
        version = _littleEndian16(header);
        uint16 keyType = _littleEndian16(header << 16);
        if (keyType != ECDSA_P256) revert QuoteVerifierAttestationKeyType(keyType);
        uint32 actual = uint32(_littleEndian16(header << 32)) | uint32(_littleEndian16(header << 48)) << 16;
        if (actual != teeType) revert QuoteVerifierTeeType(actual);
        bytes16 vendor = bytes16(_word(quote, VENDOR_AT));
        if (vendor != INTEL_QE_VENDOR) revert QuoteVerifierVendor(vendor);
    }

    /// @dev That the attestation key signed header and body.
    function _checkSignature(bytes calldata evidence, bytes calldata quote, uint256 pos, bool known) private view {
        bytes32 digest = sha256(quote);
        uint256 keyAt = known ? KNOWN_KEY_AT : FULL_KEY_AT;
        if (!_isSigned(digest, evidence, pos, keyAt)) revert QuoteVerifierSignature(digest);
    }

    /// @dev That the PCK signed the QE's report, and the report binds the attestation key.
    function _checkQe(bytes calldata evidence, bytes calldata quote) private view returns (bytes32 platformKey) {
        unchecked {
            bytes32 digest = sha256(evidence[FULL_REPORT_AT:FULL_REPORT_SIGNATURE_AT]);
            if (!_isSigned(digest, evidence, FULL_REPORT_SIGNATURE_AT, 1)) revert QuoteVerifierQeSignature(digest);
            bytes32 bound = sha256(evidence[FULL_KEY_AT:evidence.length - quote.length]);
            bytes32 head = _word(evidence, FULL_REPORT_AT + REPORT_DATA_AT);
            bytes32 tail = _word(evidence, FULL_REPORT_AT + REPORT_DATA_AT + 32);
            if (head != bound || tail != 0) revert QuoteVerifierKeyNotBound(bound, head, tail);
            return keccak256(evidence[1:FULL_SIGNATURE_AT]);
        }
    }

    function _isSigned(
        bytes32 digest,
        bytes calldata evidence,
        uint256 signatureAt,
        uint256 keyAt
    ) private view returns (bool) {
        unchecked {
            return P256Verify.isValid(
                digest,
                uint256(_word(evidence, signatureAt)),
                uint256(_word(evidence, signatureAt + 32)),
                uint256(_word(evidence, keyAt)),
                uint256(_word(evidence, keyAt + 32))
            );
        }
    }

    function _qeFacts(bytes calldata evidence, bool known) private pure returns (QeFacts memory qe) {
        unchecked {
            bytes32 ids;
            if (known) {
                qe.mrSigner = _word(evidence, KNOWN_FACTS_AT);
                bytes32 rest = _word(evidence, KNOWN_FACTS_AT + 32);
                qe.attributes = bytes16(rest);
                qe.miscSelect = bytes4(rest << 128);
                ids = rest << 160;
            } else {
                qe.mrSigner = _word(evidence, FULL_REPORT_AT + MR_SIGNER_AT);
                qe.attributes = bytes16(_word(evidence, FULL_REPORT_AT + ATTRIBUTES_AT));
                qe.miscSelect = bytes4(_word(evidence, FULL_REPORT_AT + MISC_SELECT_AT));
                ids = _word(evidence, FULL_REPORT_AT + ISV_PROD_ID_AT);
            }
            qe.isvProdId = _littleEndian16(ids);
            qe.isvSvn = _littleEndian16(ids << 16);
        }
    }

    /// @dev Of facts and the attestation key.
    function _keyId(bytes32 facts, bytes calldata evidence, bool known) private pure returns (bytes32) {
        unchecked {
            uint256 keyAt = known ? KNOWN_KEY_AT : FULL_KEY_AT;
            return keccak256(abi.encode(facts, _word(evidence, keyAt), _word(evidence, keyAt + 32)));
        }
    }

    /* THE VERDICT */

    function _judge(
        bytes32 platformKey,
        QeFacts memory qe,
        ModuleFacts memory module
    ) private view returns (Verdict memory verdict) {
        Basis memory basis = _basisOf(platformKey);
        if (basis.revoked) revert QuoteVerifierRevoked(platformKey);
        if (basis.validUntil < block.timestamp) revert QuoteVerifierExpired(basis.validUntil, block.timestamp);
        if (!TcbFormat.isQe(basis.qeIdentity, qe)) {
            revert QuoteVerifierQeMismatch(qe.mrSigner, qe.attributes, qe.miscSelect, qe.isvProdId);
        }
        uint8 qeStatus = TcbFormat.statusOfQe(basis.qeIdentity, qe.isvSvn);
        if (qeStatus == 0) revert QuoteVerifierQeLevelNotFound(qe.isvSvn);
        (uint8 status, uint8 moduleStatus, uint256 place) =
            _statusOf(basis.tcbInfo, basis.platform, module.teeTcbSvn);
        _checkModule(basis.tcbInfo, module, moduleStatus, place);
        if (status == 0) {
            revert QuoteVerifierLevelNotFound(basis.platform.components, basis.platform.pceSvn, module.teeTcbSvn);
        }
        verdict.version = basis.collateral.version;
        verdict.shape = TcbFormat.shapeOf(basis.qeIdentity, basis.tcbInfo, place);
        verdict.ppid = basis.platform.ppid;
        // No truncation: the least of several such numbers.
        verdict.validUntil = uint32(basis.validUntil);
        verdict.evaluation = _evaluation(basis.collateral);
        verdict.status = TcbFormat.merge(TcbFormat.merge(status, moduleStatus), qeStatus);
    }

    /// @dev Platform and collateral. Refuses where anything is missing.
    function _basisOf(bytes32 platformKey) private view returns (Basis memory basis) {
        IPckRegistryTypes.Platform memory platform = pckRegistry.platformOf(platformKey);
        ICollateralStoreTypes.Collateral memory collateral =
            store.collateralOf(_teeType, platform.fmspc, platform.pceId, platform.pckCa);
        if (
            collateral.tcbInfo.content == address(0) || collateral.qeIdentity.content == address(0)
                || collateral.pckCrlNextUpdate == 0
        ) revert QuoteVerifierCollateralMissing(_teeType, platform.fmspc, platform.pceId, platform.pckCa);
        basis.platform = platform;
        basis.collateral = collateral;
        basis.tcbInfo = CodeBlob.read(collateral.tcbInfo.content);
        basis.qeIdentity = CodeBlob.read(collateral.qeIdentity.content);
        basis.validUntil = _least(
            _least(_least(platform.notAfter, collateral.pckCaNotAfter), collateral.rootCrlNextUpdate),
            _least(
                collateral.pckCrlNextUpdate, _least(collateral.tcbInfo.validUntil, collateral.qeIdentity.validUntil)
            )
        );
        basis.revoked = collateral.signersRevoked || collateral.pckCaRevoked
            || RevocationList.contains(CodeBlob.read(collateral.revocations), platform.serialTag);
    }

    function _evaluation(ICollateralStoreTypes.Collateral memory collateral) private pure returns (uint16) {
        return uint16(_least(collateral.tcbInfo.evaluation, collateral.qeIdentity.evaluation));
    }

    function _least(uint256 left, uint256 right) private pure returns (uint256) {
        return left < right ? left : right;
    }

    /* WHAT IS REMEMBERED: a verdict in one slot */

    function _pack(Verdict memory verdict) private pure returns (uint256) {
        return uint256(verdict.version) << 232 | uint256(uint48(verdict.shape)) << 184
            | uint256(uint128(verdict.ppid)) << 56 | uint256(verdict.validUntil) << 24 | uint256(verdict.evaluation) << 8
            | verdict.status;
    }

    function _unpack(uint256 packed) private pure returns (Verdict memory) {
        return Verdict({
            version: uint24(packed >> 232),
            shape: bytes6(uint48(packed >> 184)),
            ppid: bytes16(uint128(packed >> 56)),
            validUntil: uint32(packed >> 24),
            evaluation: uint16(packed >> 8),
            status: uint8(packed)
        });
    }

    /* BYTES */

    /// @dev 32 bytes whose place the length of `data` has been found to hold, in part at least.
    function _word(bytes calldata data, uint256 offset) internal pure returns (bytes32 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data.offset, offset))
        }
    }

    function _littleEndian16(bytes32 value) internal pure returns (uint16) {
        return uint16(bytes2(value) >> 8) | uint16(bytes2(value << 8)) & 0xff00;
    }
}
