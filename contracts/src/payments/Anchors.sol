// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleTree} from "../libraries/MerkleTree.sol";
import {Receipt, ReceiptLib} from "../receipts/ReceiptLib.sol";
import {IAnchors} from "./IAnchors.sol";
import {PaymentRecords} from "./PaymentRecords.sol";

/// @title Anchors
abstract contract Anchors is IAnchors {
    /// @inheritdoc IAnchors
    mapping(bytes32 root => uint64 blockNumber) public anchoredAt;

    /// @inheritdoc IAnchors
    function anchor(bytes32 root) external {
        if (anchoredAt[root] != 0) return;
        anchoredAt[root] = uint64(block.number);
        emit Anchored(root, msg.sender);
    }

    /// @inheritdoc IAnchors
    function openReceipt(
        address registry,
        Receipt calldata receipt,
        bytes calldata signature,
        AnchorProof calldata proof
    ) external returns (address signer, uint64 blockNumber) {
        bytes32 separator = ReceiptLib.domainSeparator(block.chainid, registry);
        bytes32 digest = ReceiptLib.digest(receipt, separator);
        signer = ReceiptLib.recover(receipt, signature, separator);
        blockNumber = _anchoredBlock(digest, proof);
        emit ReceiptOpened(digest, signer, proof.root, blockNumber);
    }

    /// @dev The block in which the digest was anchored under the proof's root.
    function _anchoredBlock(
        bytes32 digest,
        AnchorProof calldata proof
    ) internal view returns (uint64 blockNumber) {
        blockNumber = anchoredAt[proof.root];
        if (blockNumber == 0) revert AnchorsRootUnknown(proof.root);
        bytes32 leaf = PaymentRecords.anchoredLeaf(digest);
        if (!MerkleTree.holds(proof.root, leaf, proof.siblings)) revert AnchorsNotInTree(proof.root, leaf);
    }
}
