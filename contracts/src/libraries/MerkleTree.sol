// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title MerkleTree
/// @notice Proofs against the roots of an epoch's record. A node is keccak256(0x01 ‖ smaller ‖ larger) of its two, a leaf the
/// keccak256 of whole ABI words: none passes for the other.
/// @dev Warning: a proof says nothing about a leaf's place. The leaf itself must say what it is about.
library MerkleTree {
    /// @notice Longest proof that is read.
    uint256 internal constant MAX_PROOF = 32;

    /// @notice Whether the leaf stands in the tree of this root. False for a proof that is too long.
    function holds(bytes32 root, bytes32 leaf, bytes32[] calldata proof) internal pure returns (bool) {
        if (proof.length > MAX_PROOF) return false;
        bytes32 node = leaf;
        for (uint256 i = 0; i < proof.length; ++i) {
            bytes32 sibling = proof[i];
            node = node < sibling
                ? keccak256(abi.encodePacked(bytes1(0x01), node, sibling))
                : keccak256(abi.encodePacked(bytes1(0x01), sibling, node));
        }
        return node == root;
    }
}
