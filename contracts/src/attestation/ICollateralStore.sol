// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

interface ICollateralStoreTypes {
    /// @notice A CA of platform certificates, and its revocation list.
    /// @param keyX, keyY Its P-256 key.
    /// @param serialTag What the root's list knows its certificate by (see {RevocationList}).
    /// @param notBefore, notAfter Unix seconds, of its certificate.
    /// @param revoked Whether the root's list names it.
    /// @param revocations The contract that holds its list; zero where nothing is listed.
    /// @param crlThisUpdate, crlNextUpdate Unix seconds; zero while it has no list.
    struct PckCa {
        // ### 1st and 2nd slot
        uint256 keyX;
        uint256 keyY;
        // ### 3rd slot
        bytes16 serialTag;
        uint32 notBefore;
        uint32 notAfter;
        bool revoked;
        // ### 4th slot
        address revocations;
        uint32 crlThisUpdate;
        uint32 crlNextUpdate;
    }

    /// @notice A statement of Intel's about platforms or the quoting enclave.
    /// @param content The contract that holds it packed (see {TcbFormat}); zero where there is none.
    /// @param issuedAt Unix seconds.
    /// @param validUntil Unix seconds: the earlier end of the statement and its signer's certificate.
    /// @param evaluation Its tcbEvaluationDataNumber.
    /// @param signer Index of the signer, which may have been revoked since.
    struct Statement {
        address content;
        uint32 issuedAt;
        uint32 validUntil;
        uint16 evaluation;
        uint8 signer;
    }

    /// @notice All that a verdict on one kind of platform rests on.
    /// @param version Another one whenever a verdict might be another.
    /// @param rootCrlNextUpdate, pckCaNotAfter, pckCrlNextUpdate Unix seconds.
    /// @param signersRevoked Whether the signer of either statement is revoked.
    /// @param pckCaRevoked, revocations As in {PckCa}.
    struct Collateral {
        uint24 version;
        uint32 rootCrlNextUpdate;
        uint32 pckCaNotAfter;
        uint32 pckCrlNextUpdate;
        bool signersRevoked;
        bool pckCaRevoked;
        address revocations;
        Statement tcbInfo;
        Statement qeIdentity;
    }
}

interface ICollateralStoreErrors {
    /// Deployment
    error CollateralStoreRootMissing(uint256 rootX, uint256 rootY);

    /// Everything that is submitted
    error CollateralStoreSignature(bytes32 digest);
    error CollateralStoreNotYetValid(uint256 notBefore, uint256 timestamp);
    error CollateralStoreExpired(uint256 notAfter, uint256 timestamp);
    error CollateralStoreNotNewer(uint256 given, uint256 present);
    error CollateralStoreTooMany(uint256 count, uint256 maximum);

    /// Certificates and revocation lists
    error CollateralStoreRole(bytes32 commonNameHash);
    error CollateralStoreIssuer(bytes32 issuer);
    error CollateralStoreNotCa(uint256 keyUsage);
    error CollateralStoreCaNotAllowed();
    error CollateralStoreKeyUsage(uint256 keyUsage, uint256 required);
    error CollateralStoreRevoked(bytes16 serialTag);
    error CollateralStoreKeyIdMissing();
    error CollateralStoreKeyChanged(bytes32 pckCaId);
    error CollateralStoreRootCrlMissing(uint256 nextUpdate, uint256 timestamp);

    /// Statements
    error CollateralStoreSignerMissing();
    error CollateralStoreSignerRevoked(uint8 signer);
    error CollateralStoreSignerExpired(uint256 notAfter, uint256 timestamp);
    error CollateralStoreEvaluationLowered(uint32 given, uint32 present);
}

interface ICollateralStoreEvents {
    /// @notice Each event says the version of the store after it.
    event RootCrlSubmitted(uint32 thisUpdate, uint32 nextUpdate, uint256 revoked, uint24 version);
    event PckCaSubmitted(uint8 indexed pckCa, bytes32 indexed pckCaId, uint32 notAfter, uint24 version);
    event TcbSignerSubmitted(uint8 indexed signer, uint32 notAfter, uint24 version);
    event PckCrlSubmitted(uint8 indexed pckCa, uint32 thisUpdate, uint32 nextUpdate, uint256 revoked, uint24 version);
    event TcbInfoSubmitted(
        uint8 indexed teeType,
        bytes6 indexed fmspc,
        bytes2 indexed pceId,
        uint16 evaluation,
        uint32 issueDate,
        uint32 nextUpdate,
        uint24 version
    );
    event QeIdentitySubmitted(
        uint8 indexed teeType, uint16 evaluation, uint32 issueDate, uint32 nextUpdate, uint24 version
    );
}

/// @title ICollateralStore
/// @notice Intel's collateral of SGX and TDX, verified up to one root key. Anyone submits it, as Intel serves it; nobody
/// can submit anything else. Newer replaces older, never the reverse.
/// @dev Submitting what is here already, or something older, is refused by {CollateralStoreNotNewer}.
interface ICollateralStore is ICollateralStoreTypes, ICollateralStoreErrors, ICollateralStoreEvents {
    /// @notice The root of a chain: a list of certificates below it that no longer hold. Needed before all others.
    /// @param der The CRL of the root CA (RFC 5280), signed by the root key.
    function submitRootCrl(bytes calldata der) external;

    /// @notice A CA of platform certificates: "Intel SGX PCK Processor CA" or "Intel SGX PCK Platform CA".
    /// @param der Its certificate, issued by the root.
    function submitPckCa(bytes calldata der) external;

    /// @notice "Intel SGX TCB Signing", who signs TCB info and QE identities.
    /// @param der Its certificate, issued by the root. Statements submitted from now on must be signed by it.
    function submitTcbSigner(bytes calldata der) external;

    /// @notice Which platform certificates of a CA no longer hold.
    /// @param der The CRL, signed by a CA that was submitted before.
    function submitPckCrl(bytes calldata der) external;

    /// @notice TCB info version 3 of one kind of platform.
    /// @param json Its exact bytes, the value of `tcbInfo` in Intel's answer.
    /// @param r, s The signature beside it.
    function submitTcbInfo(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice QE identity version 2.
    /// @param json Its exact bytes, the value of `enclaveIdentity` in Intel's answer.
    /// @param r, s The signature beside it.
    function submitQeIdentity(bytes calldata json, bytes32 r, bytes32 s) external;

    /// @notice The root key, affine coordinates on P-256.
    function ROOT_X() external view returns (uint256);
    function ROOT_Y() external view returns (uint256);

    /// @notice Whether the root is any other than Intel's.
    function simulated() external view returns (bool);

    /// @notice Another one whenever a verdict that rests on the store might be another.
    function version() external view returns (uint24);

    /// @notice What verdicts on a kind of platform rest on; parts that were never submitted are zero, and a CA that never
    /// was counts as revoked.
    function collateralOf(
        uint8 teeType,
        bytes6 fmspc,
        bytes2 pceId,
        uint8 pckCa
    ) external view returns (Collateral memory);

    /// @notice The CA that a certificate or list names as its issuer, and its index; zero where it is unknown.
    /// @param pckCaId keccak256(keccak256(DER of the CA's name) ‖ keccak256(its key id)).
    function pckCaOf(bytes32 pckCaId) external view returns (uint8 index, PckCa memory ca);

    /// @notice When the root's list was made and ends, Unix seconds.
    function rootCrl() external view returns (uint32 thisUpdate, uint32 nextUpdate);
}
