// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {IStakeDelegates} from "./IStakeDelegates.sol";

/// @title StakeDelegates
contract StakeDelegates is IStakeDelegates {
    using Checkpoints for Checkpoints.Trace160;

    /// @dev Nothing, or zero: the account itself.
    mapping(address account => Checkpoints.Trace160) private _voters;

    /// @inheritdoc IStakeDelegates
    function delegate(address voter) external {
        address present = voterOf(msg.sender);
        if (voter == address(0) || voter == present) revert StakeDelegatesUnchanged(msg.sender, present);
        _voters[msg.sender].push(uint96(block.timestamp), uint160(voter));
        emit StakeDelegated(msg.sender, voter);
    }

    /// @inheritdoc IStakeDelegates
    function voterOf(address account) public view returns (address) {
        return _orItself(_voters[account].latest(), account);
    }

    /// @inheritdoc IStakeDelegates
    function pastVoterOf(address account, uint256 timepoint) external view returns (address) {
        if (timepoint >= block.timestamp) revert StakeDelegatesFutureLookup(timepoint, uint48(block.timestamp));
        // No truncation: below the present time.
        return _orItself(_voters[account].upperLookupRecent(uint96(timepoint)), account);
    }

    function _orItself(uint160 voter, address account) private pure returns (address) {
        return voter == 0 ? account : address(voter);
    }
}
