// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title P256Verify
/// @notice ECDSA over P-256 by the P256VERIFY precompile (EIP-7951, RIP-7212).
library P256Verify {
    address internal constant PRECOMPILE = address(0x100);

    /// @notice Whether (r, s) signs `digest` under the key (x, y).
    /// @dev Fails closed: on a chain without the precompile every signature is refused.
    /// Warning: (r, n − s) passes as well; nothing may depend on a signature being the only one.
    function isValid(bytes32 digest, uint256 r, uint256 s, uint256 x, uint256 y) internal view returns (bool) {
        (bool ok, bytes memory answer) = PRECOMPILE.staticcall(abi.encode(digest, r, s, x, y));
        return ok && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }
}
