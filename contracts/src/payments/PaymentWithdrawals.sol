// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelBalance} from "./ChannelBalances.sol";
import {IPayments} from "./IPayments.sol";
import {PaymentsState} from "./PaymentsState.sol";
import {Channel} from "./PaymentRecords.sol";

/// @title PaymentWithdrawals
/// @notice The payer's way out, after a delay in which what was earned can be claimed.
abstract contract PaymentWithdrawals is PaymentsState {
    /// @inheritdoc IPayments
    function requestWithdrawal(Channel calldata channel, uint128 amount) external {
        if (amount == 0 || amount > MAX_DEPOSIT) revert PaymentsAmountOutOfRange(amount, MAX_DEPOSIT);
        _request(channel, amount);
    }

    /// @inheritdoc IPayments
    function requestClose(Channel calldata channel) external {
        _request(channel, CLOSE);
    }

    /// @inheritdoc IPayments
    function cancelWithdrawal(Channel calldata channel) external {
        if (msg.sender != channel.payer) revert PaymentsCallerNotPayer(msg.sender, channel.payer);
        bytes32 id = channelId(channel);
        if (_withdrawals[id].withdrawableAt == 0) revert PaymentsNoWithdrawal(id);
        delete _withdrawals[id];
        emit WithdrawalCancelled(id);
    }

    /// @inheritdoc IPayments
    function withdraw(Channel calldata channel) external {
        bytes32 id = channelId(channel);
        Withdrawal memory wish = _withdrawals[id];
        if (wish.withdrawableAt == 0) revert PaymentsNoWithdrawal(id);
        if (block.timestamp < wish.withdrawableAt) {
            revert PaymentsNotWithdrawable(id, wish.withdrawableAt, block.timestamp);
        }
        delete _withdrawals[id];

        ChannelBalance balance = _balances[id].value;
        uint256 left = balance.left();
        uint256 amount = wish.amount < left ? wish.amount : left;
        balance = balance.minusDeposit(amount);
        if (wish.amount == CLOSE) {
            balance = balance.closed();
            emit ChannelClosed(id);
        }
        _balances[id].value = balance;
        emit Withdrawn(id, channel.payer, amount);
        _payBack(channel.payer, amount);
    }

    /// @inheritdoc IPayments
    function release(Channel calldata channel, uint128 amount) external {
        if (msg.sender != channel.operator) revert PaymentsCallerNotOperator(msg.sender, channel.operator);
        bytes32 id = channelId(channel);
        ChannelBalance balance = _balances[id].value;
        uint256 left = balance.left();
        if (amount == 0 || amount > left) revert PaymentsAmountOutOfRange(amount, left);
        _balances[id].value = balance.minusDeposit(amount);
        emit Released(id, channel.payer, amount);
        _payBack(channel.payer, amount);
    }

    function _request(Channel calldata channel, uint128 amount) private {
        if (msg.sender != channel.payer) revert PaymentsCallerNotPayer(msg.sender, channel.payer);
        bytes32 id = channelId(channel);
        if (!_balances[id].value.isOpened()) revert PaymentsChannelUnknown(id);
        uint64 withdrawableAt = uint64(block.timestamp) + withdrawalDelay;
        _withdrawals[id] = Withdrawal(amount, withdrawableAt);
        emit WithdrawalRequested(id, amount, withdrawableAt);
    }
}
