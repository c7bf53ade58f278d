// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ChannelBalance} from "./ChannelBalances.sol";
import {IPayments} from "./IPayments.sol";
import {PaymentsState} from "./PaymentsState.sol";
import {Channel} from "./PaymentRecords.sol";

/// @title PaymentDeposits
/// @notice The way in: by allowance, permit or authorization.
abstract contract PaymentDeposits is PaymentsState {
    /// @inheritdoc IPayments
    function deposit(Deposit[] calldata deposits) external {
        _takeIn(msg.sender, _add(deposits, msg.sender));
    }

    /// @inheritdoc IPayments
    function depositWithPermit(
        Deposit[] calldata deposits,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        uint256 sum = _add(deposits, msg.sender);
        // Whether it worked, the transfer shows.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), sum, deadline, v, r, s) {} catch {}
        _takeIn(msg.sender, sum);
    }

    /// @inheritdoc IPayments
    function depositWithAuthorization(
        Deposit[] calldata deposits,
        address from,
        bytes32 salt,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        uint256 sum = _add(deposits, from);
        totalHeld += sum;
        bytes32 nonce = authorizationNonce(deposits, salt);
        IERC3009(address(token)).receiveWithAuthorization(
            from, address(this), sum, validAfter, validBefore, nonce, v, r, s
        );
    }

    /// @inheritdoc IPayments
    function authorizationNonce(Deposit[] calldata deposits, bytes32 salt) public pure returns (bytes32) {
        return keccak256(abi.encode("cloister/deposits: v1", salt, keccak256(abi.encode(deposits))));
    }

    /// @return sum Of all deposits. No overflow: at most MAX_BATCH times MAX_DEPOSIT.
    function _add(Deposit[] calldata deposits, address funder) private returns (uint256 sum) {
        _checkBatch(deposits.length);
        for (uint256 i = 0; i < deposits.length; ++i) {
            sum += deposits[i].amount;
            _addOne(deposits[i].channel, deposits[i].amount, funder);
        }
    }

    function _addOne(Channel calldata channel, uint256 amount, address funder) private {
        bytes32 id = channelId(channel);
        ChannelBalance before = _balances[id].value;
        if (before.isClosed()) revert PaymentsChannelClosed(id);
        uint256 room = MAX_DEPOSIT - before.deposited();
        if (amount == 0 || amount > room) revert PaymentsAmountOutOfRange(amount, room);
        ChannelBalance balance = before.plusDeposit(amount);
        if (!before.isOpened()) {
            if (channel.payer != funder) revert PaymentsPayerNotFunder(id, channel.payer, funder);
            if (channel.operator == address(0) || channel.payerKey == address(0)) revert PaymentsPartyMissing(id);
            balance = balance.opened();
            emit ChannelOpened(id, channel.payer, channel.operator, channel);
        }
        _balances[id].value = balance;
        emit Deposited(id, funder, amount);

        // What was earned beyond the deposit before is paid of the new one.
        uint256 paid = balance.claimed() - before.claimed();
        if (paid > 0) {
            emit ChannelClaimed(id, paid);
            _credit(channel.operator, channel.gateway, paid);
        }
    }
}
