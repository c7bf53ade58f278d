// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A signer's highest total in a channel and the registry by which it counts, in one slot: bits 0 to 159 the
/// registry, 160 to 255 the total.
type SignerTotal is uint256;

using SignerTotals for SignerTotal global;

/// @title SignerTotals
library SignerTotals {
    /// @dev A total beyond it counts as this much: far more than any channel holds.
    uint256 private constant MAX_TOTAL = type(uint96).max;

    function pack(address by, uint256 amount) internal pure returns (SignerTotal) {
        if (amount > MAX_TOTAL) amount = MAX_TOTAL;
        return SignerTotal.wrap((amount << 160) | uint160(by));
    }

    function registry(SignerTotal self) internal pure returns (address) {
        // Truncates to the lower 160 bits on purpose.
        return address(uint160(SignerTotal.unwrap(self)));
    }

    function total(SignerTotal self) internal pure returns (uint256) {
        return SignerTotal.unwrap(self) >> 160;
    }
}
