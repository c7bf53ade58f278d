// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title CommitteeProof
/// @notice That t of a list's members signed a digest: a bitmap of 4 bytes (bit i: member i), then their signatures in
/// that order, 65 bytes each, exactly t of them.
library CommitteeProof {
    uint256 private constant BITMAP_LENGTH = 4;
    uint256 private constant SIGNATURE_LENGTH = 65;

    /// @notice Whether the proof holds. False, never an error, for a proof of any other form.
    /// @param roll Three words for each member: first all signers, padded, then what is not read here.
    function holds(
        bytes32 digest,
        bytes calldata proof,
        bytes memory roll,
        uint8 threshold
    ) internal pure returns (bool) {
        if (threshold == 0 || proof.length != BITMAP_LENGTH + uint256(threshold) * SIGNATURE_LENGTH) return false;
        uint256 bitmap = uint32(bytes4(proof[:BITMAP_LENGTH]));
        uint256 offset = BITMAP_LENGTH;
        uint256 members = count(roll);
        for (uint256 i = 0; bitmap != 0; ++i) {
            if (bitmap & 1 == 1) {
                if (offset == proof.length || i >= members) return false;
                (address signer, ECDSA.RecoverError failure,) =
                    ECDSA.tryRecoverCalldata(digest, proof[offset:offset + SIGNATURE_LENGTH]);
                if (failure != ECDSA.RecoverError.NoError) return false;
                if (bytes32(uint256(uint160(signer))) != wordAt(roll, i)) return false;
                offset += SIGNATURE_LENGTH;
            }
            bitmap >>= 1;
        }
        return offset == proof.length;
    }

    /// @notice How many members a roll of three words each has.
    function count(bytes memory roll) internal pure returns (uint256) {
        return roll.length / 96;
    }

    /// @notice The word at an index; zero behind the end.
    function wordAt(bytes memory roll, uint256 index) internal pure returns (bytes32 word) {
        if ((index + 1) * 32 > roll.length) return 0;
        assembly ("memory-safe") {
            word := mload(add(add(roll, 0x20), mul(index, 0x20)))
        }
    }
}
