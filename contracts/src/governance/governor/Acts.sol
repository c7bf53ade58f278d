// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

import {IBridge} from "../../bridge/IBridge.sol";
import {IGuarded} from "../../bridge/IGuarded.sol";
import {IPhaRoute} from "../../bridge/IPhaRoute.sol";
import {IRemoteCommittee} from "../../bridge/IRemoteCommittee.sol";
import {IEmission} from "../../emission/IEmission.sol";
import {IEpochRewards} from "../../emission/IEpochRewards.sol";
import {IImageRegistry} from "../../IImageRegistry.sol";
import {IPlatformAssurance} from "../../IPlatformAssurance.sol";
import {IWorkerRegistry} from "../../IWorkerRegistry.sol";
import {IFeeLedger} from "../../payments/IFeeLedger.sol";
import {IPayments} from "../../payments/IPayments.sol";
import {IStorageRent} from "../../payments/IStorageRent.sol";
import {ISlashing} from "../../slashing/ISlashing.sol";
import {IStakePools} from "../../staking/IStakePools.sol";
import {IWorkerBonds} from "../../staking/IWorkerBonds.sol";
import {IEpochRecords} from "../IEpochRecords.sol";
import {IGatekeeperCommittee} from "../IGatekeeperCommittee.sol";

/// @notice What an act asks for.
/// @param dangerous A super quorum and two thirds of the votes.
/// @param stake A delay longer than any way out of a pool.
struct Weight {
    bool dangerous;
    bool stake;
}

/// @title Acts
/// @notice How heavy each governed function is. What is not named here is the heaviest: role changes, the timelock's own
/// functions, the Governor's, and whatever a contract of the future may have.
library Acts {
    function weightOf(bytes4 selector) internal pure returns (Weight memory weight) {
        if (_isOrdinary(selector)) return weight;
        weight.dangerous = !_isOfStake(selector);
        weight.stake = !_isDangerous(selector);
    }

    /// @dev Bounded by the contracts themselves, or no more than stopping something.
    function _isOrdinary(bytes4 selector) private pure returns (bool) {
        return stops(selector) || selector == IImageRegistry.allow.selector
            || selector == IImageRegistry.allowConfig.selector || selector == IImageRegistry.unblockPlatform.selector
            || selector == IPlatformAssurance.setAuditor.selector || selector == IEpochRecords.setChallengeApp.selector
            || selector == IEpochRewards.lift.selector || selector == IFeeLedger.setFeeShares.selector
            || selector == IFeeLedger.sweepSurplus.selector || selector == IStorageRent.setPrice.selector
            || selector == IGuarded.lift.selector || selector == IBridge.revive.selector
            || selector == IBridge.setLifetime.selector;
    }

    /// @dev Takes a permission back or keeps something from happening: never heavy, whatever it belongs to.
    function stops(bytes4 selector) internal pure returns (bool) {
        return selector == IImageRegistry.revoke.selector || selector == IImageRegistry.revokeConfig.selector
            || selector == IImageRegistry.retire.selector || selector == IImageRegistry.shorten.selector
            || selector == IImageRegistry.blockPlatform.selector || selector == IEpochRewards.blockEpoch.selector
            || selector == ISlashing.veto.selector || selector == IGuarded.stop.selector;
    }

    /// @dev What stake may lose or must keep, within bounds of the contracts.
    function _isOfStake(bytes4 selector) private pure returns (bool) {
        return selector == IStakePools.setOwnStakeShare.selector || selector == IWorkerBonds.setBondRule.selector
            || selector == ISlashing.setOffenceShare.selector || selector == ISlashing.setReporterShare.selector;
    }

    /// @dev Who is trusted, what evidence must be, who gets money: but nothing that stake needs more time for.
    function _isDangerous(bytes4 selector) private pure returns (bool) {
        return selector == IWorkerRegistry.setTeePolicy.selector || selector == IWorkerRegistry.setNetworkKeysHash.selector
            || selector == IImageRegistry.setGuardian.selector || selector == IGatekeeperCommittee.setEligible.selector
            || selector == IGatekeeperCommittee.setThreshold.selector || selector == IEmission.setRewards.selector
            || selector == IEmission.setSplit.selector || selector == IEpochRewards.voidEpoch.selector
            || selector == IEpochRewards.setGuardian.selector || selector == IEpochRewards.setFeeSink.selector
            || selector == ISlashing.setTreasury.selector || selector == IFeeLedger.setFeeRecipients.selector
            || selector == IPayments.setWorkerRegistry.selector || selector == IERC20.transfer.selector
            || selector == ERC20Burnable.burn.selector || selector == IBridge.setCommittee.selector
            || selector == IRemoteCommittee.handOver.selector || selector == IPhaRoute.setLimits.selector
            || selector == IPhaRoute.cancelTransfer.selector;
    }
}
