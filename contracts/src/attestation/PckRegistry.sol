// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeBlob} from "../libraries/CodeBlob.sol";
import {P256Verify} from "../libraries/P256Verify.sol";
import {PckExtension, PckFields} from "../libraries/PckExtension.sol";
import {RevocationList} from "../libraries/RevocationList.sol";
import {Certificate, X509} from "../libraries/X509.sol";
import {ICollateralStore, ICollateralStoreTypes} from "./ICollateralStore.sol";
import {IntelRoles} from "./IntelRoles.sol";
import {IPckRegistry} from "./IPckRegistry.sol";

/// @title PckRegistry
/// @dev A key needs no place of its own: evidence carries it, and its hash is the platform's name here.
contract PckRegistry is IPckRegistry {
    /// @inheritdoc IPckRegistry
    ICollateralStore public immutable store;

    bool private immutable _simulated;

    mapping(bytes32 platformKey => Platform) private _platforms;

    constructor(ICollateralStore collateralStore) {
        if (address(collateralStore).code.length == 0) revert PckRegistryStoreWithoutCode(address(collateralStore));
        store = collateralStore;
        _simulated = collateralStore.simulated();
    }

    /// @inheritdoc IPckRegistry
    function registerPck(bytes calldata der) external returns (bytes32 platformKey) {
        Certificate memory cert = X509.readCertificate(der);
        if (!IntelRoles.isPck(cert.subjectName, _simulated)) revert PckRegistryRole(cert.subjectName);
        uint8 pckCa = _checkIssued(cert);
        if (cert.isCa) revert PckRegistryCaNotAllowed();
        if (cert.keyUsage & X509.KEY_USAGE_SIGNS_DATA == 0) {
            revert PckRegistryKeyUsage(cert.keyUsage, X509.KEY_USAGE_SIGNS_DATA);
        }
        if (block.timestamp < cert.notBefore) revert PckRegistryNotYetValid(cert.notBefore, block.timestamp);
        if (block.timestamp > cert.notAfter) revert PckRegistryExpired(cert.notAfter, block.timestamp);
        if (cert.sgxEnd == 0) revert PckRegistryExtensionMissing();

        PckFields memory fields = PckExtension.read(cert.sgxStart, cert.sgxEnd);
        Platform memory platform = Platform({
            components: fields.components,
            pceSvn: fields.pceSvn,
            fmspc: fields.fmspc,
            pceId: fields.pceId,
            // Times beyond 2106 end then.
            notAfter: cert.notAfter > type(uint32).max ? type(uint32).max : uint32(cert.notAfter),
            pckCa: pckCa,
            ppid: fields.ppid,
            serialTag: cert.serialTag
        });
        platformKey = keccak256(abi.encode(cert.keyX, cert.keyY));
        _checkReplaces(platformKey, platform);
        _platforms[platformKey] = platform;
        emit PlatformRegistered(platformKey, platform.ppid, platform.fmspc, platform.notAfter);
    }

    /// @inheritdoc IPckRegistry
    function platformOf(bytes32 platformKey) external view returns (Platform memory platform) {
        platform = _platforms[platformKey];
        if (platform.pckCa == 0) revert PckRegistryPlatformUnknown(platformKey);
    }

    /// @dev By a CA that holds now, and that does not list it. Whether the lists are of now is asked at each verdict.
    function _checkIssued(Certificate memory cert) private view returns (uint8) {
        if (cert.authorityKeyId == 0) revert PckRegistryKeyIdMissing();
        bytes32 id = IntelRoles.pckCaId(cert.issuer, cert.authorityKeyId);
        (uint8 index, ICollateralStoreTypes.PckCa memory ca) = store.pckCaOf(id);
        if (index == 0) revert PckRegistryIssuerUnknown(id);
        if (ca.revoked) revert PckRegistryIssuerRevoked(index);
        if (block.timestamp > ca.notAfter) revert PckRegistryIssuerExpired(ca.notAfter, block.timestamp);
        if (!P256Verify.isValid(cert.digest, cert.signatureR, cert.signatureS, ca.keyX, ca.keyY)) {
            revert PckRegistrySignature(cert.digest);
        }
        if (RevocationList.contains(CodeBlob.read(ca.revocations), cert.serialTag)) {
            revert PckRegistryRevoked(cert.serialTag);
        }
        return index;
    }

    /// @dev Verdicts remembered elsewhere rest on what is here, so that another certificate of a key may only last longer.
    function _checkReplaces(bytes32 platformKey, Platform memory platform) private view {
        Platform storage present = _platforms[platformKey];
        if (present.pckCa == 0) return;
        if (platform.notAfter <= present.notAfter) revert PckRegistryNotNewer(platform.notAfter, present.notAfter);
        if (
            platform.components != present.components || platform.pceSvn != present.pceSvn
                || platform.fmspc != present.fmspc || platform.pceId != present.pceId || platform.ppid != present.ppid
        ) revert PckRegistryPlatformChanged(platformKey);
    }
}
