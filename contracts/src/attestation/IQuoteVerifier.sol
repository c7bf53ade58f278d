// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICollateralStore} from "./ICollateralStore.sol";
import {IEvidenceVerifier} from "./IEvidenceVerifier.sol";
import {IPckRegistry} from "./IPckRegistry.sol";

interface IQuoteVerifierErrors {
    /// Deployment
    error QuoteVerifierWithoutCode(address store, address pckRegistry);
    error QuoteVerifierStoresDiffer(address store, address storeOfRegistry);

    /// Form
    error QuoteVerifierForm(uint256 form);
    error QuoteVerifierLength(uint256 length, uint256 expected);
    error QuoteVerifierQuoteVersion(uint16 version);
    error QuoteVerifierAttestationKeyType(uint16 keyType);
    error QuoteVerifierTeeType(uint32 teeType);
    error QuoteVerifierVendor(bytes16 qeVendorId);

    /// Signatures
    error QuoteVerifierSignature(bytes32 digest);
    error QuoteVerifierQeSignature(bytes32 digest);
    error QuoteVerifierKeyNotBound(bytes32 expected, bytes32 head, bytes32 tail);
    error QuoteVerifierKeyUnknown(bytes32 platformKey, bytes32 attestationKey);

    /// Collateral
    error QuoteVerifierCollateralMissing(uint8 teeType, bytes6 fmspc, bytes2 pceId, uint8 pckCa);
    error QuoteVerifierExpired(uint256 validUntil, uint256 timestamp);
    error QuoteVerifierRevoked(bytes32 platformKey);

    /// What collateral says of the quoting enclave and the platform
    error QuoteVerifierQeMismatch(bytes32 mrSigner, bytes16 attributes, bytes4 miscSelect, uint16 isvProdId);
    error QuoteVerifierQeLevelNotFound(uint16 isvSvn);
    error QuoteVerifierLevelNotFound(bytes16 components, uint16 pceSvn, bytes16 teeTcbSvn);
}

/// @title IQuoteVerifier
/// @notice Verifies quotes of Intel's quoting enclaves in a compact form: what signatures cover and the signatures,
/// without the certificates, which were submitted before.
/// @dev Evidence, packed, begins with its form (1 byte):
///
/// 1, everything: PCK key 64, signature 64, QE report 384, its signature 64, length of the QE authentication data 2
/// (big-endian), attestation key 64, the authentication data, then the quote's header and body to the end.
///
/// 2, the same, and the attestation key is remembered as this platform's.
///
/// 3, by a key remembered: platformKey 32, signature 64, attestation key 64; of the QE report mrSigner 32, attributes 16,
/// miscSelect 4, isvProdId 2, isvSvn 2; then the quote's header and body to the end.
///
/// The claims' `tcb` is teeTcbSvn 16, isvSvn of the QE 2 (big-endian), zero 8, and 6 bytes that another description of QE
/// or module by Intel changes. A verdict is remembered while the version of the store stays and it holds for another day.
interface IQuoteVerifier is IEvidenceVerifier, IQuoteVerifierErrors {
    /// @notice Where collateral comes from.
    function store() external view returns (ICollateralStore);

    /// @notice Where platforms come from.
    function pckRegistry() external view returns (IPckRegistry);

    /// @notice Whether the key of this evidence of form 3 is remembered, for a platform in its present state.
    /// @dev Says nothing of the evidence: whether it holds is for {verify}.
    function isKnownKey(bytes calldata evidence) external view returns (bool);
}
