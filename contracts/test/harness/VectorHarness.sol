// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {BridgeMessage, BridgeMessageLib} from "../../src/bridge/BridgeMessageLib.sol";
import {EmissionSchedule} from "../../src/emission/EmissionSchedule.sol";
import {RewardLeaf} from "../../src/emission/RewardLeaf.sol";
import {EpochRecord, EpochRecordLib} from "../../src/governance/EpochRecordLib.sol";
import {BlockHashes} from "../../src/libraries/BlockHashes.sol";
import {CommitteeProof} from "../../src/libraries/CommitteeProof.sol";
import {Ids} from "../../src/libraries/Ids.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {P256Verify} from "../../src/libraries/P256Verify.sol";
import {Receipt, ReceiptLib} from "../../src/receipts/ReceiptLib.sol";

/// @notice The libraries' functions as external ones.
contract VectorHarness {
    function workerId(
        uint256 chainId,
        address registry,
        address operator,
        uint256 index
    ) external pure returns (bytes32) {
        return Ids.workerId(chainId, registry, operator, index);
    }

    function emittedAfter(uint256 elapsed) external pure returns (uint256) {
        return EmissionSchedule.emittedAfter(elapsed);
    }

    function rewardLeaf(uint64 epoch, address operator, uint256 amount) external pure returns (bytes32) {
        return RewardLeaf.hash(epoch, operator, amount);
    }

    function appId(address owner, bytes32 salt) external pure returns (bytes32) {
        return Ids.appId(owner, salt);
    }

    function workerBinding(
        uint256 chainId,
        address registry,
        address operator,
        address receiptSigner,
        bytes32 networkKeysHash
    ) external pure returns (bytes32) {
        return Ids.workerBinding(chainId, registry, operator, receiptSigner, networkKeysHash);
    }

    function context(
        uint256 chainId,
        address consumer,
        bytes32 subject,
        bytes32 purpose,
        uint256 nonce
    ) external pure returns (bytes32) {
        return Ids.context(chainId, consumer, subject, purpose, nonce);
    }

    function commitment(bytes32 salt, bytes calldata body) external pure returns (bytes32) {
        return Ids.commitment(salt, keccak256(body));
    }

    function tdxImageId(bytes calldata mrtd, bytes calldata rtmrs) external pure returns (bytes32) {
        return Ids.tdxImageId(mrtd, rtmrs);
    }

    function dstackImageId(
        bytes calldata mrtd,
        bytes calldata rtmrs,
        bytes32 composeHash
    ) external pure returns (bytes32) {
        return Ids.dstackImageId(mrtd, rtmrs, composeHash);
    }

    function tdxConfig(
        bytes32 head,
        bytes16 rest
    ) external pure returns (bool known, bool dstack, bytes32 configId) {
        return Ids.tdxConfig(head, rest);
    }

    function domainSeparator(uint256 chainId, address registry) external pure returns (bytes32) {
        return ReceiptLib.domainSeparator(chainId, registry);
    }

    function receiptDigest(Receipt calldata receipt, bytes32 separator) external pure returns (bytes32) {
        return ReceiptLib.digest(receipt, separator);
    }

    function recoverReceipt(
        Receipt calldata receipt,
        bytes calldata signature,
        bytes32 separator
    ) external pure returns (address) {
        return ReceiptLib.recover(receipt, signature, separator);
    }

    function keyConfigDigest(
        bytes32 configHash,
        uint64 notBefore,
        uint64 notAfter,
        bytes32 separator
    ) external pure returns (bytes32) {
        return ReceiptLib.keyConfigDigest(configHash, notBefore, notAfter, separator);
    }

    function epochRecordDigest(EpochRecord calldata record, bytes32 separator) external pure returns (bytes32) {
        return EpochRecordLib.digest(record, separator);
    }

    function bridgeRoute(
        uint256 sourceChain,
        address sourceBridge,
        address sender,
        uint256 destinationChain,
        address destinationBridge
    ) external pure returns (bytes32) {
        return BridgeMessageLib.route(sourceChain, sourceBridge, sender, destinationChain, destinationBridge);
    }

    function bridgeMessageId(BridgeMessage calldata message, bytes32 separator) external pure returns (bytes32) {
        return BridgeMessageLib.digest(message, separator);
    }

    function bridgeVoidDigest(
        bytes32 route,
        uint64 number,
        bytes32 id,
        bytes32 separator
    ) external pure returns (bytes32) {
        return BridgeMessageLib.voidDigest(route, number, id, separator);
    }

    function interoperable(uint256 chainId, address account) external pure returns (bytes memory) {
        return InteroperableAddress.formatEvmV1(chainId, account);
    }

    function holdsLeaf(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MerkleTree.holds(root, leaf, proof);
    }

    function blockHashOf(uint256 blockNumber) external view returns (bytes32) {
        return BlockHashes.tryGet(blockNumber);
    }

    function isP256Valid(bytes32 digest, uint256 r, uint256 s, uint256 x, uint256 y) external view returns (bool) {
        return P256Verify.isValid(digest, r, s, x, y);
    }

    function committeeHolds(
        bytes32 digest,
        bytes calldata proof,
        bytes memory roll,
        uint8 threshold
    ) external pure returns (bool) {
        return CommitteeProof.holds(digest, proof, roll, threshold);
    }

    /// @param behind Lies behind the roll in memory.
    function rollWord(bytes memory roll, bytes memory behind, uint256 index) external pure returns (bytes32, uint256) {
        return (CommitteeProof.wordAt(roll, index), behind.length);
    }
}
