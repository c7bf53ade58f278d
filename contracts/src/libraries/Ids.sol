// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Ids
/// @notice The protocol's ids and hashes: `H(tag, words…) = keccak256(abi.encode(string tag, words…))`.
library Ids {
    /// @dev keccak256("cloister/image: v1")
    bytes32 internal constant IMAGE_TAG = keccak256("cloister/image: v1");

    uint8 internal constant TEE_SGX = 1;
    uint8 internal constant TEE_TDX = 2;
    uint8 internal constant TEE_SEV_SNP = 3;
    uint8 internal constant TEE_NITRO = 4;

    function workerId(
        uint256 chainId,
        address registry,
        address operator,
        uint256 index
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/worker-id: v1", chainId, registry, operator, index));
    }

    function appId(address owner, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/app-id: v1", owner, salt));
    }

    /// @notice What the first half of a worker's report_data must hold.
    function workerBinding(
        uint256 chainId,
        address registry,
        address operator,
        address receiptSigner,
        bytes32 networkKeysHash
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode("cloister/worker: v1", chainId, registry, operator, receiptSigner, networkKeysHash)
        );
    }

    /// @notice What the first half of a gatekeeper's report_data must hold.
    function gatekeeperBinding(
        uint256 chainId,
        address committee,
        address operator,
        address signer,
        bytes32 hpkeKey,
        bytes32 networkKeysHash
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                "cloister/gatekeeper: v1",
                chainId,
                committee,
                operator,
                keccak256(abi.encode(signer, hpkeKey)),
                networkKeysHash
            )
        );
    }

    /// @notice The context of a receipt that is meant for one contract, subject, purpose and use.
    function context(
        uint256 chainId,
        address consumer,
        bytes32 subject,
        bytes32 purpose,
        uint256 nonce
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode("cloister/context: v1", chainId, consumer, subject, purpose, nonce));
    }

    /// @notice Commitment to a body under a salt that only the parties of a call share.
    function commitment(bytes32 salt, bytes32 bodyHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(salt, bodyHash));
    }

    /// @notice The image of a TDX worker. RTMR3 is no part of it: guests of other systems extend it at run time.
    /// @param mrtd 48 bytes, as are the three `rtmr` after it.
    function tdxImageId(
        bytes calldata mrtd,
        bytes calldata rtmr0,
        bytes calldata rtmr1,
        bytes calldata rtmr2
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(IMAGE_TAG, uint256(TEE_TDX), mrtd, rtmr0, rtmr1, rtmr2));
    }

    /// @notice The image of an SGX worker.
    function sgxImageId(bytes32 mrEnclave) internal pure returns (bytes32) {
        return keccak256(abi.encode(IMAGE_TAG, uint256(TEE_SGX), mrEnclave));
    }
}
