// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title CompactSignature
/// @notice ECDSA over secp256k1 with signatures in the form of ERC-2098: vs is s with the parity in its highest bit.
/// @dev OpenZeppelin's checks and errors, by one call of the precompile without its wrapping: claims recover a signer for
/// each channel.
library CompactSignature {
    /// @dev Half the curve's order, rounded down.
    uint256 private constant MAX_S = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    /// @notice Who signed. Reverts with ECDSAInvalidSignatureS where s is high, with ECDSAInvalidSignature where there is no
    /// such point.
    /// @dev Warning: any well-formed signature recovers to some address.
    function recover(bytes32 digest, bytes32 r, bytes32 vs) internal view returns (address signer) {
        uint256 s = uint256(vs) & (type(uint256).max >> 1);
        if (s > MAX_S) revert ECDSA.ECDSAInvalidSignatureS(bytes32(s));
        // Behind the free memory pointer, which stays as it is.
        assembly ("memory-safe") {
            let words := mload(0x40)
            mstore(words, digest)
            mstore(add(words, 0x20), add(shr(255, vs), 27))
            mstore(add(words, 0x40), r)
            mstore(add(words, 0x60), s)
            // The precompile answers nothing where it finds no signer: then this stays zero.
            mstore(0x00, 0)
            pop(staticcall(gas(), 1, words, 0x80, 0x00, 0x20))
            signer := mload(0x00)
        }
        if (signer == address(0)) revert ECDSA.ECDSAInvalidSignature();
    }
}
