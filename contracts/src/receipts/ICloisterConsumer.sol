// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAppRegistry} from "../IAppRegistry.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {Receipt} from "./ReceiptLib.sol";

interface ICloisterConsumerErrors {
    /// Construction
    error CloisterConsumerRegistryWithoutCode(address registry);
    error CloisterConsumerAppMissing();
    error CloisterConsumerMaxAgeMissing();
    error CloisterConsumerManifestMissing();

    /// Receipts
    error CloisterConsumerWrongApp(bytes32 expected, bytes32 stated);
    error CloisterConsumerManifestNotAllowed(bytes32 manifest);
    error CloisterConsumerStatusNotOk(uint8 status);
    error CloisterConsumerSignatureInvalid();
    error CloisterConsumerSignerNotActive(address signer, bytes32 workerId);
    error CloisterConsumerWrongContext(bytes32 expected, bytes32 stated);
    error CloisterConsumerContextUsed(bytes32 context);
    error CloisterConsumerFromTheFuture(uint64 stated, uint256 blockNumber);
    error CloisterConsumerTooOld(uint64 stated, uint256 oldest);
    error CloisterConsumerForeignBlock(uint64 blockNumber, bytes32 expected, bytes32 stated);
    error CloisterConsumerOutputMismatch(bytes32 expected, bytes32 opened);
}

/// @title ICloisterConsumer
/// @notice A contract that accepts answers of one Cloister app.
interface ICloisterConsumer is ICloisterConsumerErrors {
    /// @notice Which receipts a consumer accepts.
    /// @param workerRegistry Of the network whose workers are trusted.
    /// @param appRegistry Asked for the app's serving manifest where `manifests` is empty; not used otherwise.
    /// @param app The app.
    /// @param maxAgeBlocks How many blocks may have passed since the one a receipt names; at least 1. Warning: beyond
    /// 256 (8,191 where the chain has EIP-2935) its hash is no longer known, and so not checked.
    /// @param manifests The only manifests accepted, for ever. Empty: whichever the app serves at the time, so that
    /// the app's owner, after the notice, decides what code the consumer listens to.
    struct ConsumerPolicy {
        IWorkerRegistry workerRegistry;
        IAppRegistry appRegistry;
        bytes32 app;
        uint64 maxAgeBlocks;
        bytes32[] manifests;
    }

    /// @notice A receipt was accepted; its context can't be used again.
    event ReceiptConsumed(
        bytes32 indexed context,
        bytes32 indexed workerId,
        bytes32 requestHash,
        bytes32 outputCommitment
    );

    /// @notice The EIP-712 digest of a receipt on this consumer's network.
    function receiptDigest(Receipt calldata receipt) external view returns (bytes32);

    /// @notice Who signed a receipt.
    /// @dev Warning: says nothing about whether that is a worker.
    function receiptSigner(Receipt calldata receipt, bytes calldata signature) external view returns (address);

    /// @notice The context that a client must put into the sealed request.
    function contextOf(bytes32 subject, bytes32 purpose, uint256 nonce) external view returns (bytes32);

    /// @notice Whether a receipt with this context was accepted.
    function isContextUsed(bytes32 context) external view returns (bool);

    /// @notice Whether receipts under this manifest are accepted at present.
    function isManifestAllowed(bytes32 manifest) external view returns (bool);

    function workerRegistry() external view returns (IWorkerRegistry);
    function appRegistry() external view returns (IAppRegistry);
    function app() external view returns (bytes32);
    function maxAgeBlocks() external view returns (uint64);
}
