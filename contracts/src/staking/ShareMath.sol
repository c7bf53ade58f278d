// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @notice PHA that belongs to the holders of shares, in proportion.
/// @param assets Smallest units of PHA.
/// @param shares At par a million of them for each smallest unit of PHA.
struct Ledger {
    // ### 1st slot
    uint128 assets;
    // ### 2nd slot
    uint256 shares;
}

/// @title ShareMath
/// @notice Shares against assets, as in ERC-4626 with virtual shares: a million of them and one asset that nobody owns
/// stand in every ratio. So an empty ledger has a price, and who would move it against a later holder gives the virtual
/// shares a million times what that one loses. The verb says the rounding; callers choose it against whoever asks.
library ShareMath {
    /// @dev Virtual shares, and shares for each asset at par.
    uint256 internal constant OFFSET = 1e6;

    /// @dev A rate is assets per share times this: 1e18 at par.
    uint256 internal constant RATE_SCALE = 1e24;

    /// @dev A ledger that lost all but a millionth of par is worthless.
    uint256 private constant WORTHLESS = 1e12;

    function toSharesDown(Ledger memory ledger, uint256 assets) internal pure returns (uint256) {
        return Math.mulDiv(assets, ledger.shares + OFFSET, uint256(ledger.assets) + 1);
    }

    function toSharesUp(Ledger memory ledger, uint256 assets) internal pure returns (uint256) {
        return Math.mulDiv(assets, ledger.shares + OFFSET, uint256(ledger.assets) + 1, Math.Rounding.Ceil);
    }

    /// @dev Never more than ledger.assets for shares of this ledger: below assets + 1 before rounding.
    function toAssetsDown(Ledger memory ledger, uint256 shares) internal pure returns (uint256) {
        return Math.mulDiv(shares, uint256(ledger.assets) + 1, ledger.shares + OFFSET);
    }

    function toAssetsUp(Ledger memory ledger, uint256 shares) internal pure returns (uint256) {
        return Math.mulDiv(shares, uint256(ledger.assets) + 1, ledger.shares + OFFSET, Math.Rounding.Ceil);
    }

    /// @notice Assets per share times RATE_SCALE, rounded down.
    function rate(Ledger memory ledger) internal pure returns (uint256) {
        return Math.mulDiv(uint256(ledger.assets) + 1, RATE_SCALE, ledger.shares + OFFSET);
    }

    /// @dev An empty ledger is not.
    function isWorthless(Ledger memory ledger) internal pure returns (bool) {
        // No overflow: 129 bits and 40 bits.
        return (uint256(ledger.assets) + 1) * WORTHLESS < ledger.shares + OFFSET;
    }
}
