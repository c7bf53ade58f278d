// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IntelRoles
/// @notice Which common names the certificates of Intel's PKI bear (Intel, "Intel SGX PCK Certificate and Certificate
/// Revocation List Profile Specification", §3), by their keccak256. Below any other root they begin with
/// "DEV unsafe simulated ".
library IntelRoles {
    /// @dev Intel SGX Root CA (same source, §3.1).
    uint256 internal constant ROOT_X = 0x0ba9c4c0c0c86193a3fe23d6b02cda10a8bbd4e88e48b4458561a36e705525f5;
    uint256 internal constant ROOT_Y = 0x67918e2edc88e40d860bd0cc4ee26aacc988e505a953558c453f6b0904ae7394;

    function isRoot(uint256 x, uint256 y) internal pure returns (bool) {
        return x == ROOT_X && y == ROOT_Y;
    }

    function isRootName(bytes32 name, bool simulated) internal pure returns (bool) {
        return name
            == (simulated ? keccak256("DEV unsafe simulated Intel SGX Root CA") : keccak256("Intel SGX Root CA"));
    }

    function isPckCa(bytes32 name, bool simulated) internal pure returns (bool) {
        if (simulated) {
            return name == keccak256("DEV unsafe simulated Intel SGX PCK Platform CA")
                || name == keccak256("DEV unsafe simulated Intel SGX PCK Processor CA");
        }
        return name == keccak256("Intel SGX PCK Platform CA") || name == keccak256("Intel SGX PCK Processor CA");
    }

    function isPck(bytes32 name, bool simulated) internal pure returns (bool) {
        return name
            == (simulated
                    ? keccak256("DEV unsafe simulated Intel SGX PCK Certificate")
                    : keccak256("Intel SGX PCK Certificate"));
    }

    function isTcbSigner(bytes32 name, bool simulated) internal pure returns (bool) {
        return name
            == (simulated
                    ? keccak256("DEV unsafe simulated Intel SGX TCB Signing")
                    : keccak256("Intel SGX TCB Signing"));
    }

    /// @notice What a CA of platform certificates is known by.
    /// @param name keccak256 of the DER of its name.
    /// @param keyId keccak256 of its key id.
    function pckCaId(bytes32 name, bytes32 keyId) internal pure returns (bytes32) {
        return keccak256(abi.encode(name, keyId));
    }
}
