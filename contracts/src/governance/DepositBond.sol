// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Governed} from "./Governed.sol";
import {IBond} from "./IBond.sol";
import {IDepositBond} from "./IDepositBond.sol";

/// @title DepositBond
contract DepositBond is IDepositBond, Governed {
    using SafeERC20 for IERC20;

    uint64 private constant MAX_DELAY = 365 days;

    /// @inheritdoc IDepositBond
    IERC20 public immutable token;

    /// @inheritdoc IDepositBond
    uint64 public immutable withdrawalDelay;

    /// @inheritdoc IDepositBond
    address public slasher;

    mapping(address operator => Deposit) private _deposits;

    constructor(address timelock_, IERC20 token_, uint64 withdrawalDelay_) Governed(timelock_) {
        if (address(token_).code.length == 0) revert DepositBondTokenWithoutCode(address(token_));
        if (withdrawalDelay_ > MAX_DELAY) revert DepositBondDelayOutOfRange(withdrawalDelay_, MAX_DELAY);
        token = token_;
        withdrawalDelay = withdrawalDelay_;
    }

    /// @inheritdoc IDepositBond
    function deposit(address operator, uint256 amount) external {
        if (amount == 0) revert DepositBondZeroAmount();
        _deposits[operator].amount += amount;
        emit Deposited(operator, msg.sender, amount);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IDepositBond
    function requestWithdrawal(uint256 amount) external {
        if (amount == 0) revert DepositBondZeroAmount();
        Deposit storage held = _deposits[msg.sender];
        if (held.amount < amount) revert DepositBondTooLittle(msg.sender, held.amount, amount);
        held.amount -= amount;
        held.leaving += amount;
        held.claimableAt = uint64(block.timestamp) + withdrawalDelay;
        emit WithdrawalRequested(msg.sender, amount, held.claimableAt);
    }

    /// @inheritdoc IDepositBond
    function withdraw(address to) external {
        Deposit storage held = _deposits[msg.sender];
        uint256 amount = held.leaving;
        if (amount == 0) revert DepositBondZeroAmount();
        if (block.timestamp < held.claimableAt) {
            revert DepositBondNotClaimable(msg.sender, held.claimableAt, block.timestamp);
        }
        held.leaving = 0;
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IDepositBond
    function slash(address operator, uint256 amount, address to) external {
        if (msg.sender != slasher) revert DepositBondCallerNotSlasher(msg.sender, slasher);
        if (amount == 0) revert DepositBondZeroAmount();
        Deposit storage held = _deposits[operator];
        uint256 has = held.amount + held.leaving;
        if (has < amount) revert DepositBondTooLittle(operator, has, amount);
        uint256 ofBond = amount < held.amount ? amount : held.amount;
        held.amount -= ofBond;
        held.leaving -= amount - ofBond;
        emit Slashed(operator, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc IDepositBond
    function setSlasher(address slasher_) external onlyTimelock {
        slasher = slasher_;
        emit SlasherSet(slasher_);
    }

    /// @inheritdoc IBond
    function bondOf(address operator) external view returns (uint256 amount) {
        return _deposits[operator].amount;
    }

    /// @inheritdoc IDepositBond
    function depositOf(address operator) external view returns (Deposit memory) {
        return _deposits[operator];
    }
}
