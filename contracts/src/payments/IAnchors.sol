// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Receipt} from "../receipts/ReceiptLib.sol";

interface IAnchorsTypes {
    /// @notice That a digest stands in an anchored tree.
    /// @param root The tree's root.
    /// @param siblings From the leaf up, at most 32.
    struct AnchorProof {
        bytes32 root;
        bytes32[] siblings;
    }
}

/// @title IAnchors
/// @notice When receipts and statements existed at the latest: roots of Merkle trees over them, each with the block in
/// which it was first shown.
/// @dev A leaf is {PaymentRecords.anchoredLeaf} of an EIP-712 digest, a node that of {MerkleTree}.
/// A root belongs to nobody, and anyone may anchor any root: it claims nothing but that its leaves were known by its block.
/// Who anchors another's root, early or twice, proves the same. A record counts only by its own signature, so a root over
/// records that nobody signed is worth nothing; and whoever could sign for an evicted enclave after its eviction comes too
/// late to anchor it before.
interface IAnchors is IAnchorsTypes {
    event Anchored(bytes32 indexed root, address anchoredBy);
    event ReceiptOpened(bytes32 indexed digest, address indexed signer, bytes32 root, uint64 blockNumber);

    error AnchorsRootUnknown(bytes32 root);
    error AnchorsNotInTree(bytes32 root, bytes32 leaf);

    /// @notice Keeps the present block's number for a root. Anyone; of a root known before, the first block stays.
    function anchor(bytes32 root) external;

    /// @notice Shows that a receipt stood in an anchored root, and by whom it is signed. Anyone.
    /// @param registry The WorkerRegistry in whose domain the receipt is signed.
    /// @param signature 65 bytes, low s; errors of OpenZeppelin's ECDSA pass through.
    /// @return signer Who signed it. Warning: whether that is a worker, the registry says.
    /// @return blockNumber The block in which the root was anchored first.
    function openReceipt(
        address registry,
        Receipt calldata receipt,
        bytes calldata signature,
        AnchorProof calldata proof
    ) external returns (address signer, uint64 blockNumber);

    /// @notice The block in which a root was anchored first, or zero.
    function anchoredAt(bytes32 root) external view returns (uint64 blockNumber);
}
