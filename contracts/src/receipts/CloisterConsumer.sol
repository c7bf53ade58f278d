// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IAppRegistry} from "../IAppRegistry.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {BlockHashes} from "../libraries/BlockHashes.sol";
import {Ids} from "../libraries/Ids.sol";
import {ICloisterConsumer} from "./ICloisterConsumer.sol";
import {Receipt, ReceiptLib} from "./ReceiptLib.sol";

/// @title CloisterConsumer
/// @notice Inherit it, call {_consumeReceipt} first in your function, then use the body.
abstract contract CloisterConsumer is ICloisterConsumer {
    /// @inheritdoc ICloisterConsumer
    IWorkerRegistry public immutable workerRegistry;

    /// @inheritdoc ICloisterConsumer
    IAppRegistry public immutable appRegistry;

    /// @inheritdoc ICloisterConsumer
    bytes32 public immutable app;

    /// @inheritdoc ICloisterConsumer
    uint64 public immutable maxAgeBlocks;

    bool private immutable _fixedManifests;

    mapping(bytes32 manifest => bool) private _manifests;

    /// @inheritdoc ICloisterConsumer
    mapping(bytes32 context => bool) public isContextUsed;

    constructor(ConsumerPolicy memory policy) {
        if (address(policy.workerRegistry).code.length == 0) {
            revert CloisterConsumerRegistryWithoutCode(address(policy.workerRegistry));
        }
        if (policy.manifests.length == 0 && address(policy.appRegistry).code.length == 0) {
            revert CloisterConsumerRegistryWithoutCode(address(policy.appRegistry));
        }
        if (policy.app == 0) revert CloisterConsumerAppMissing();
        if (policy.maxAgeBlocks == 0) revert CloisterConsumerMaxAgeMissing();
        workerRegistry = policy.workerRegistry;
        appRegistry = policy.appRegistry;
        app = policy.app;
        maxAgeBlocks = policy.maxAgeBlocks;
        _fixedManifests = policy.manifests.length > 0;
        for (uint256 i = 0; i < policy.manifests.length; ++i) {
            if (policy.manifests[i] == 0) revert CloisterConsumerManifestMissing();
            _manifests[policy.manifests[i]] = true;
        }
    }

    /// @inheritdoc ICloisterConsumer
    function receiptDigest(Receipt calldata receipt) public view returns (bytes32) {
        // Built each time, not kept: after a fork of the chain, receipts of the other side must not hold.
        return ReceiptLib.digest(receipt, ReceiptLib.domainSeparator(block.chainid, address(workerRegistry)));
    }

    /// @inheritdoc ICloisterConsumer
    function receiptSigner(Receipt calldata receipt, bytes calldata signature) public view returns (address) {
        (address signer, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(receiptDigest(receipt), signature);
        if (problem != ECDSA.RecoverError.NoError) revert CloisterConsumerSignatureInvalid();
        return signer;
    }

    /// @inheritdoc ICloisterConsumer
    function contextOf(bytes32 subject, bytes32 purpose, uint256 nonce) public view returns (bytes32) {
        return Ids.context(block.chainid, address(this), subject, purpose, nonce);
    }

    /// @inheritdoc ICloisterConsumer
    function isManifestAllowed(bytes32 manifest) public view virtual returns (bool) {
        return _fixedManifests ? _manifests[manifest] : appRegistry.isCurrentManifest(app, manifest);
    }

    /// @dev Accepts a receipt once, or reverts naming the first thing that does not hold.
    /// Warning: take `subject` from msg.sender or from what msg.sender may act for; whoever may name it freely can use
    /// another's answer.
    /// Warning: `body` becomes public. Let the app answer only what the contract needs.
    /// Warning: a node that simulates on its newest block refuses a receipt that names it. Simulate on "pending".
    /// @param subject Whom the answer is about, of the caller's choice: usually `bytes32(uint160(msg.sender))`.
    /// @param purpose What the answer is for: a constant of the calling function.
    /// @param nonce Counted or chosen by the subject; (subject, purpose, nonce) is accepted once.
    /// @param outputSalt Opens the receipt's outputCommitment, with `body`.
    /// @param body What the app answered.
    function _consumeReceipt(
        Receipt calldata receipt,
        bytes calldata signature,
        bytes32 subject,
        bytes32 purpose,
        uint256 nonce,
        bytes32 outputSalt,
        bytes calldata body
    ) internal {
        if (receipt.app != app) revert CloisterConsumerWrongApp(app, receipt.app);
        if (receipt.status != ReceiptLib.STATUS_OK) revert CloisterConsumerStatusNotOk(receipt.status);
        _useContext(receipt.context, contextOf(subject, purpose, nonce));
        _checkOutput(receipt.outputCommitment, outputSalt, body);
        _checkBlock(receipt.blockNumber, receipt.blockHash);
        // The registries are contracts of the network that only answer views.
        if (!isManifestAllowed(receipt.manifest)) revert CloisterConsumerManifestNotAllowed(receipt.manifest);
        bytes32 workerId = _checkSigner(receiptSigner(receipt, signature));
        emit ReceiptConsumed(receipt.context, workerId, receipt.requestHash, receipt.outputCommitment);
    }

    function _useContext(bytes32 stated, bytes32 expected) private {
        if (stated != expected) revert CloisterConsumerWrongContext(expected, stated);
        if (isContextUsed[expected]) revert CloisterConsumerContextUsed(expected);
        isContextUsed[expected] = true;
    }

    function _checkOutput(bytes32 committed, bytes32 outputSalt, bytes calldata body) private pure {
        bytes32 opened = Ids.commitment(outputSalt, keccak256(body));
        if (committed != opened) revert CloisterConsumerOutputMismatch(committed, opened);
    }

    function _checkSigner(address signer) private view returns (bytes32 workerId) {
        bool active;
        (active, workerId) = workerRegistry.isActiveSigner(signer);
        if (!active) revert CloisterConsumerSignerNotActive(signer, workerId);
    }

    /// @dev The hash is checked where the chain still knows it: the last 256 blocks, or 8,191 with EIP-2935.
    function _checkBlock(uint64 number, bytes32 stated) private view {
        if (number >= block.number) revert CloisterConsumerFromTheFuture(number, block.number);
        uint256 oldest = block.number > maxAgeBlocks ? block.number - maxAgeBlocks : 0;
        if (number < oldest) revert CloisterConsumerTooOld(number, oldest);
        bytes32 known = BlockHashes.tryGet(number);
        if (known != 0 && known != stated) revert CloisterConsumerForeignBlock(number, known, stated);
    }
}
