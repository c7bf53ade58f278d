// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {IStakePools} from "./IStakePools.sol";
import {StakePoolState} from "./StakePoolState.sol";
import {HolderHistory, StakeVotes} from "./StakeVotes.sol";

/// @title StakePoolVotes
/// @notice What accounts held, and what it was worth, by time.
abstract contract StakePoolVotes is StakePoolState {
    using Checkpoints for Checkpoints.Trace208;
    using StakeVotes for HolderHistory;

    /// @inheritdoc IStakePools
    function getPastVotes(address account, address pool, uint256 timepoint) external view returns (uint256) {
        return _holders[pool][account].worthAt(_histories[pool], _laneOf(pool, account), _past(timepoint));
    }

    /// @inheritdoc IStakePools
    function getPastShares(address account, address pool, uint256 timepoint) external view returns (uint256) {
        return _holders[pool][account].shares.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakePools
    function getPastUnits(address account, address pool, uint256 timepoint) external view returns (uint256) {
        return _holders[pool][account].units.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakePools
    function getPastTotalShares(address pool, uint256 timepoint) external view returns (uint256) {
        return _histories[pool].shares.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakePools
    function getPastRate(address pool, uint256 timepoint) external view returns (uint256) {
        return _histories[pool].rate.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakePools
    function getPastUnitRate(address pool, bool own, uint256 timepoint) external view returns (uint256) {
        return _histories[pool].unitRates[own ? OWN : BACKERS].upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc IStakePools
    function clock() public view returns (uint48) {
        return uint48(block.timestamp);
    }

    /// @inheritdoc IStakePools
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() external pure returns (string memory) {
        return "mode=timestamp";
    }

    function _past(uint256 timepoint) internal view returns (uint48) {
        if (timepoint >= block.timestamp) revert StakePoolsFutureLookup(timepoint, clock());
        // No truncation: below the present time.
        return uint48(timepoint);
    }
}
