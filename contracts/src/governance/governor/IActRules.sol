// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPayments} from "../../payments/IPayments.sol";
import {IStakePools} from "../../staking/IStakePools.sol";
import {IDepositBond} from "../IDepositBond.sol";

interface IActRulesTypes {
    /// @param timelock The TimelockController that governs the network.
    /// @param day Seconds: 86,400 on a network that anybody rests on.
    /// @param gatekeeperImages The gatekeepers' registry of images.
    struct ActRulesInit {
        address timelock;
        uint32 day;
        IStakePools stakePools;
        IDepositBond depositBond;
        IPayments payments;
        address gatekeeperImages;
    }
}

interface IActRulesErrors {
    error ActRulesWithoutCode(address account);
    error ActRulesDayOutOfRange(uint32 day, uint32 minimum, uint32 maximum);
    error ActRulesTreasuryDelegates();
    error ActRulesTimelockDelayTooLong(uint256 delay, uint256 maximum);
}

/// @title IActRules
/// @notice How heavy each act of governance is: how many votes it takes, and how long it waits.
/// @dev All of it is fixed: other rules are another Governor's. A day here is the unit of every time that governance has. A
/// development network has minutes for days, in governance as in all its other contracts; everybody can read how long it is.
interface IActRules is IActRulesTypes, IActRulesErrors {
    /// @notice What an act asks for. Reverts for acts that no proposal may have.
    /// @param data Calldata of the act.
    /// @return dangerous Whether it takes a super quorum and two thirds.
    /// @return delay Seconds in the timelock at the least.
    function ruleOf(address target, bytes calldata data) external view returns (bool dangerous, uint256 delay);

    /// @notice Seconds that a way out of stake may take: of a pool, or of a gatekeeper's bond.
    function longestExit() external view returns (uint256);

    /// @notice Seconds from a payer's wish for its money back to its payment.
    function longestPayout() external view returns (uint256);

    /// @notice Seconds of a day.
    function day() external view returns (uint32);
    function timelock() external view returns (address);
    function token() external view returns (address);
    function stakePools() external view returns (IStakePools);
    function payments() external view returns (address);
    function gatekeeperImages() external view returns (address);

    /// @notice The longest delay, in days, that a proposal may give the timelock.
    function MAX_TIMELOCK_DAYS() external view returns (uint256);

    /// @notice Days that each act waits.
    function ORDINARY_DAYS() external view returns (uint256);

    /// @notice Days that a dangerous act waits.
    function DANGEROUS_DAYS() external view returns (uint256);
    function MIN_DAY() external view returns (uint32);
    function MAX_DAY() external view returns (uint32);
}
