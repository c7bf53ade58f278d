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
    function claimed(ChannelBalance self) internal pure returns (uint256 least) {
        least = deposited(self);
        uint256 other = voucher(self);
        if (other < least) least = other;
        other = earned(self);
        if (other < least) least = other;
    }

    /// @notice What the payer can take back.
    function left(ChannelBalance self) internal pure returns (uint256) {
        return deposited(self) - claimed(self);
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

    /// @notice With the amount as the voucher where it is higher than the one before.
    function withVoucher(ChannelBalance self, uint256 amount) internal pure returns (ChannelBalance) {
        if (amount > MAX_AMOUNT) amount = MAX_AMOUNT;
        uint256 before = voucher(self);
        if (amount <= before) return self;
        // No carry into the next field: before + (amount - before) <= MAX_AMOUNT.
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) + ((amount - before) << VOUCHER_AT));
    }

    /// @notice With more earned, at most MAX_AMOUNT.
    function plusEarned(ChannelBalance self, uint256 increase) internal pure returns (ChannelBalance) {
        uint256 room = MAX_AMOUNT - earned(self);
        if (increase > room) increase = room;
        return ChannelBalance.wrap(ChannelBalance.unwrap(self) + (increase << EARNED_AT));
    }
}
