// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title P256Verify
/// @notice ECDSA over P-256 by the P256VERIFY precompile (EIP-7951, RIP-7212).
library P256Verify {
    address internal constant PRECOMPILE = address(0x100);

    /// @notice Whether (r, s) signs `digest` under the key (x, y).
    /// @dev Fails closed: on a chain without the precompile every signature is refused, since success is 32 bytes that
    /// say 1 and nothing else.
    /// Warning: (r, n − s) passes as well; nothing may depend on a signature being the only one.
    function isValid(bytes32 digest, uint256 r, uint256 s, uint256 x, uint256 y) internal view returns (bool valid) {
        address precompile = PRECOMPILE;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, digest)
            mstore(add(input, 0x20), r)
            mstore(add(input, 0x40), s)
            mstore(add(input, 0x60), x)
            mstore(add(input, 0x80), y)
            mstore(0x00, 0)
            // One statement each: within an expression the size would be read before the call is made.
            let ok := staticcall(gas(), precompile, input, 0xa0, 0x00, 0x20)
            let size := returndatasize()
            valid := and(and(ok, eq(size, 0x20)), eq(mload(0x00), 1))
        }
    }
}
