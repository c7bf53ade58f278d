// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Ids
/// @notice The protocol's ids and hashes: `H(tag, words…) = keccak256(abi.encode(string tag, words…))`.
library Ids {
    /// @dev keccak256("cloister/image: v1")
    bytes32 internal constant IMAGE_TAG = keccak256("cloister/image: v1");
    /// @dev keccak256("cloister/dstack-image: v1")
    bytes32 internal constant DSTACK_IMAGE_TAG = keccak256("cloister/dstack-image: v1");

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
    /// @param mrtd 48 bytes.
    /// @param rtmrs RTMR0 to RTMR2, 48 bytes each, one behind the other as in a report.
    function tdxImageId(bytes calldata mrtd, bytes calldata rtmrs) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(IMAGE_TAG, uint256(TEE_TDX), mrtd, rtmrs));
    }

    /// @notice The image of a TDX worker in a dstack CVM: its registers measure dstack's system alone, and `composeHash`
    /// says what that system runs.
    /// @param mrtd, rtmrs As in {tdxImageId}.
    function dstackImageId(
        bytes calldata mrtd,
        bytes calldata rtmrs,
        bytes32 composeHash
    ) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(DSTACK_IMAGE_TAG, uint256(TEE_TDX), mrtd, rtmrs, composeHash));
    }

    /// @notice What MRCONFIGID says of what a TD was started with.
    /// @param head, rest Its 48 bytes.
    /// @return known Whether it has one of two forms: a network file's id and 16 zero bytes; in a dstack CVM the byte 1,
    /// the hash of its app-compose.json, 15 zero bytes (dstack's version 1).
    /// @return dstack Which of them.
    /// @return configId The network file's id, or the compose hash.
    /// @dev Byte 32 tells the forms apart: zero in the first, the last of the hash in the second, where it must not be
    /// zero. So no value has two readings, and the first form stays what it was. The price: a compose hash that ends in
    /// a zero byte reads as a network file, 0x01 and 31 bytes of the hash, that nobody allows. Such an app is made anew.
    ///
    /// The host chooses MRCONFIGID, so what it gains by each choice:
    /// – In dstack's system the guest itself ends where version 1 does not hold the hash of the app that it was given.
    ///   With other values it runs any app; those read as the first form or as none, and the first form's image, dstack's
    ///   registers without the app, must never be allowed.
    /// – In any other system a compose hash written in the second form makes another image id, under another tag.
    /// – In any other system an allowed compose hash written in the first form, as if it were a network file's id, passes
    ///   as an allowed configuration. The measured worker ends there before it registers, as with any id that is not
    ///   its own network file's.
    function tdxConfig(
        bytes32 head,
        bytes16 rest
    ) internal pure returns (bool known, bool dstack, bytes32 configId) {
        if (rest == 0) return (true, false, head);
        if (head[0] != 0x01 || rest << 8 != 0) return (false, false, 0);
        return (true, true, head << 8 | bytes32(rest) >> 248);
    }

    /// @notice The image of an SGX worker.
    function sgxImageId(bytes32 mrEnclave) internal pure returns (bytes32) {
        return keccak256(abi.encode(IMAGE_TAG, uint256(TEE_SGX), mrEnclave));
    }
}
