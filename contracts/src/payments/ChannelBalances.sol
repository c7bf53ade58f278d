// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice One channel's money, in one slot: bits 0 to 83 `deposited`, 84 to 167 `voucher`, 168 to 251 `earned`, bit 252
/// opened, bit 253 closed. Amounts in the token's smallest unit.
type ChannelBalance is uint256;

using ChannelBalances for ChannelBalance global;

/// @title ChannelBalances
/// @notice What was put in and not taken back (`deposited`), the highest voucher that was shown (`voucher`), and what the
/// signers' totals add up to (`earned`). What is claimed follows from the three, so that no order of deposits and claims
/// leads to another sum.
/// @dev Three amounts and the state in one slot make a claim cheap. 84 bits are 19.3 million PHA.
library ChannelBalances {
    /// @notice The largest amount. More is never deposited; a voucher or a sum of totals beyond it counts as this much,
    /// which no deposit can tell from the true value.
    uint256 internal constant MAX_AMOUNT = (1 << 84) - 1;

    uint256 private constant VOUCHER_AT = 84;
    uint256 private constant EARNED_AT = 168;
    uint256 private constant OPENED = 1 << 252;
    uint256 private constant CLOSED = 1 << 253;

    function deposited(ChannelBalance self) internal pure returns (uint256) {
        return ChannelBalance.unwrap(self) & MAX_AMOUNT;
    }

    function voucher(ChannelBalance self) internal pure returns (uint256) {
        return (ChannelBalance.unwrap(self) >> VOUCHER_AT) & MAX_AMOUNT;
    }

    function earned(ChannelBalance self) internal pure returns (uint256) {
        return (ChannelBalance.unwrap(self) >> EARNED_AT) & MAX_AMOUNT;
    }

    function isOpened(ChannelBalance self) internal pure returns (bool) {
        return ChannelBalance.unwrap(self) & OPENED != 0;
    }

    function isClosed(ChannelBalance self) internal pure returns (bool) {
        return ChannelBalance.unwrap(self) & CLOSED != 0;
    }

    /// @notice The least of the three.
    function claimed(ChannelBalance self) internal pure returns (uint256) {
        return _min(deposited(self), _min(voucher(self), earned(self)));
    }

    /// @notice What this balance claims more than an earlier one of the same channel and deposit.
    /// @dev No underflow: voucher and earned never sink.
    function claimedSince(ChannelBalance self, ChannelBalance earlier) internal pure returns (uint256) {
        uint256 put = deposited(self);
        unchecked {
            return _min(put, _min(voucher(self), earned(self))) - _min(put, _min(voucher(earlier), earned(earlier)));
        }
    }

    /// @notice What the payer can take back.
    function left(ChannelBalance self) internal pure returns (uint256) {
        // No underflow: claimed is no more than deposited.
        unchecked {
            return deposited(self) - claimed(self);
        }
    }

    function opened(ChannelBalance self) internal pure returns (ChannelBalance) {
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) | OPENED);
    }

    function closed(ChannelBalance self) internal pure returns (ChannelBalance) {
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) | CLOSED);
    }

    /// @dev Warning: `deposited + amount` must not exceed MAX_AMOUNT.
    function plusDeposit(ChannelBalance self, uint256 amount) internal pure returns (ChannelBalance) {
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) + amount);
    }

    /// @dev Warning: `amount` must not exceed {left}.
    function minusDeposit(ChannelBalance self, uint256 amount) internal pure returns (ChannelBalance) {
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) - amount);
    }

    /// @notice With the amount as the voucher.
    /// @dev Warning: it must be above the one before.
    function withVoucher(ChannelBalance self, uint256 amount) internal pure returns (ChannelBalance) {
        uint256 others = ChannelBalance.unwrap(self) & ~(MAX_AMOUNT << VOUCHER_AT);
        return ChannelBalance.wrap(others | (_min(amount, MAX_AMOUNT) << VOUCHER_AT));
    }

    /// @notice With more earned, at most MAX_AMOUNT.
    function plusEarned(ChannelBalance self, uint256 increase) internal pure returns (ChannelBalance) {
        // No carry into the next field: no more than there is room for.
        unchecked {
            uint256 added = _min(increase, MAX_AMOUNT - earned(self));
            return ChannelBalance.wrap(ChannelBalance.unwrap(self) + (added << EARNED_AT));
        }
    }

    /// @dev Without a jump: claims ask often.
    function _min(uint256 a, uint256 b) private pure returns (uint256 least) {
        assembly ("memory-safe") {
            least := xor(a, mul(xor(a, b), lt(b, a)))
        }
    }
}
