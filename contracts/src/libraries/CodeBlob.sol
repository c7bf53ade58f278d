// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title CodeBlob
/// @notice Bytes kept as the code of a contract that does nothing: written once, cheap to read in bulk. The first byte
/// of the code is STOP.
library CodeBlob {
    error CodeBlobTooLarge(uint256 length, uint256 maximum);
    error CodeBlobNotCreated(uint256 length);

    /// @notice Most bytes of one blob: EIP-170 less the STOP.
    uint256 internal constant MAX_LENGTH = 24_575;

    /// @notice Keeps the bytes; nothing for none.
    function write(bytes memory data) internal returns (address blob) {
        uint256 length = data.length;
        if (length == 0) return address(0);
        if (length > MAX_LENGTH) revert CodeBlobTooLarge(length, MAX_LENGTH);
        assembly ("memory-safe") {
            // PUSH2 length+1, DUP1, PUSH1 10, RETURNDATASIZE, CODECOPY, RETURNDATASIZE, RETURN: 10 bytes, then STOP and
            // the data. The length's own word holds both while the contract is made.
            mstore(data, or(0x61000080600a3d393df300, shl(64, add(length, 1))))
            blob := create(0, add(data, 21), add(length, 11))
            mstore(data, length)
        }
        if (blob == address(0)) revert CodeBlobNotCreated(length);
    }

    /// @notice The bytes of a blob; none for none.
    function read(address blob) internal view returns (bytes memory data) {
        assembly ("memory-safe") {
            data := mload(0x40)
            let length := extcodesize(blob)
            if length { length := sub(length, 1) }
            mstore(data, length)
            extcodecopy(blob, add(data, 0x20), 1, length)
            mstore(0x40, and(add(add(data, length), 0x3f), not(0x1f)))
        }
    }

    /// @notice Whether a blob holds exactly these bytes.
    function holds(address blob, bytes memory data) internal view returns (bool) {
        if (data.length == 0) return blob == address(0);
        bytes32 codeHash;
        assembly ("memory-safe") {
            // keccak256 of STOP and the data: STOP is the lowest byte of the length's word, for a moment.
            let length := mload(data)
            mstore(data, 0)
            codeHash := keccak256(add(data, 31), add(length, 1))
            mstore(data, length)
        }
        return blob != address(0) && blob.codehash == codeHash;
    }
}
