// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ICommitteePurse} from "./ICommitteePurse.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

/// @title CommitteePurse
contract CommitteePurse is ICommitteePurse {
    using SafeERC20 for IERC20;

    /// @inheritdoc ICommitteePurse
    IERC20 public immutable token;

    /// @inheritdoc ICommitteePurse
    IGatekeeperCommittee public immutable committee;

    constructor(IERC20 token_, IGatekeeperCommittee committee_) {
        if (address(token_).code.length == 0) revert CommitteePurseWithoutCode(address(token_));
        if (address(committee_).code.length == 0) revert CommitteePurseWithoutCode(address(committee_));
        token = token_;
        committee = committee_;
    }

    /// @inheritdoc ICommitteePurse
    function share() external {
        (address[] memory operators,,) = committee.members();
        if (operators.length == 0) revert CommitteePurseNoMembers();
        uint256 balance = token.balanceOf(address(this));
        uint256 toEach = balance / operators.length;
        if (toEach == 0) revert CommitteePurseTooLittle(balance, operators.length);
        emit PurseShared(operators.length, toEach);
        for (uint256 i = 0; i < operators.length; ++i) {
            token.safeTransfer(operators[i], toEach);
        }
    }
}
