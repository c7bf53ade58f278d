// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {MerkleTree as PushTree} from "@openzeppelin/contracts/utils/structs/MerkleTree.sol";

/// @notice OpenZeppelin's Merkle proofs and trees, with our node: keccak256(0x01 ‖ smaller ‖ larger).
contract OpenZeppelinTreeHarness {
    using PushTree for PushTree.Bytes32PushTree;

    PushTree.Bytes32PushTree private _tree;

    /// @notice By OpenZeppelin's proofs with our node.
    function accepts(bytes32[] calldata proof, bytes32 root, bytes32 leaf) external view returns (bool) {
        return MerkleProof.verifyCalldata(proof, root, leaf, _node);
    }

    /// @notice By OpenZeppelin's proofs with its own node, which has no prefix.
    function acceptsPlain(bytes32[] calldata proof, bytes32 root, bytes32 leaf) external pure returns (bool) {
        return MerkleProof.verifyCalldata(proof, root, leaf);
    }

    /// @notice The root of OpenZeppelin's tree over 2^depth leaves. For a call only: nothing is to be stored.
    function rootOf(uint8 depth, bytes32[] calldata leaves) external returns (bytes32 root) {
        root = _tree.setup(depth, 0, _node);
        for (uint256 i = 0; i < leaves.length; ++i) (, root) = _tree.push(leaves[i], _node);
    }

    function _node(bytes32 one, bytes32 other) private pure returns (bytes32) {
        (bytes32 smaller, bytes32 larger) = one < other ? (one, other) : (other, one);
        return keccak256(abi.encodePacked(bytes1(0x01), smaller, larger));
    }
}
