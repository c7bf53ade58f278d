// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICollateralStore} from "./ICollateralStore.sol";

interface IPckRegistryTypes {
    /// @notice What Intel certified of a platform.
    /// @param components SVNs of the 16 SGX TCB components.
    /// @param notAfter Unix seconds, of the certificate.
    /// @param pckCa The issuer, by its index in the store; zero where the platform is unknown.
    /// @param ppid The physical machine.
    /// @param serialTag What revocation lists know the certificate by (see {RevocationList}).
    struct Platform {
        // ### 1st slot
        bytes16 components;
        uint16 pceSvn;
        bytes6 fmspc;
        bytes2 pceId;
        uint32 notAfter;
        uint8 pckCa;
        // ### 2nd slot
        bytes16 ppid;
        bytes16 serialTag;
    }
}

interface IPckRegistryErrors {
    error PckRegistryStoreWithoutCode(address store);
    error PckRegistryRole(bytes32 commonNameHash);
    error PckRegistryKeyIdMissing();
    error PckRegistryIssuerUnknown(bytes32 pckCaId);
    error PckRegistryIssuerRevoked(uint8 pckCa);
    error PckRegistryIssuerExpired(uint256 notAfter, uint256 timestamp);
    error PckRegistryCaNotAllowed();
    error PckRegistryKeyUsage(uint256 keyUsage, uint256 required);
    error PckRegistrySignature(bytes32 digest);
    error PckRegistryNotYetValid(uint256 notBefore, uint256 timestamp);
    error PckRegistryExpired(uint256 notAfter, uint256 timestamp);
    error PckRegistryRevoked(bytes16 serialTag);
    error PckRegistryExtensionMissing();
    error PckRegistryNotNewer(uint256 given, uint256 present);
    error PckRegistryPlatformChanged(bytes32 platformKey);
    error PckRegistryPlatformUnknown(bytes32 platformKey);
}

interface IPckRegistryEvents {
    event PlatformRegistered(bytes32 indexed platformKey, bytes16 indexed ppid, bytes6 indexed fmspc, uint32 notAfter);
}

/// @title IPckRegistry
/// @notice Platforms that Intel certified: each certificate is verified once.
interface IPckRegistry is IPckRegistryTypes, IPckRegistryErrors, IPckRegistryEvents {
    /// @notice Makes a platform known. Anyone may, once for each key; again with a certificate that ends later and says the
    /// same of the platform.
    /// @param der The platform's certificate, "Intel SGX PCK Certificate".
    /// @return platformKey keccak256(x ‖ y) of its key.
    function registerPck(bytes calldata der) external returns (bytes32 platformKey);

    /// @notice Where issuers and revocation lists come from.
    function store() external view returns (ICollateralStore);

    /// @notice What is known of a platform. Reverts where nothing is.
    function platformOf(bytes32 platformKey) external view returns (Platform memory);
}
