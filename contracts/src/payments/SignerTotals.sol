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

    /// @notice By how much the amount is above the total; zero where it is not.
    function increaseTo(SignerTotal self, uint256 amount) internal pure returns (uint256 increase) {
        uint256 before = total(self);
        uint256 most = MAX_TOTAL;
        // Both are cut alike, so that nothing is counted twice. Without a jump: claims ask for each channel.
        assembly ("memory-safe") {
            amount := xor(amount, mul(xor(amount, most), lt(most, amount)))
            increase := mul(sub(amount, before), gt(amount, before))
        }
    }

    /// @notice A total that is higher by so much, and counts by this registry.
    /// @dev Warning: no more than {increaseTo} said.
    function plus(SignerTotal self, uint256 increase, address by) internal pure returns (SignerTotal) {
        unchecked {
            return SignerTotal.wrap(((total(self) + increase) << 160) | uint160(by));
        }
    }

    /// @notice Whether the registry vouched for the signer in this channel: not where there is no total.
    function isBy(SignerTotal self, address by) internal pure returns (bool yes) {
        assembly ("memory-safe") {
            yes := and(gt(shr(160, self), 0), iszero(shl(96, xor(self, by))))
        }
    }

    function registry(SignerTotal self) internal pure returns (address) {
        // Truncates to the lower 160 bits on purpose.
        return address(uint160(SignerTotal.unwrap(self)));
    }

    function total(SignerTotal self) internal pure returns (uint256) {
        return SignerTotal.unwrap(self) >> 160;
    }
}
