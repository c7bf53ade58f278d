// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPhaToken} from "../token/IPhaToken.sol";
import {IFeeSink} from "../staking/IFeeSink.sol";

interface IFeeLedgerTypes {
    /// @notice Parts of every fee, in basis points (1/10,000); the operator gets the rest.
    /// @param gateway To the channel's gateway; to the operator where the channel has none.
    struct FeeShares {
        uint16 gateway;
        uint16 gatekeepers;
        uint16 treasury;
    }
}

interface IFeeLedgerErrors {
    error FeeLedgerTokenWithoutCode(address token);
    error FeeLedgerSinkWithoutCode(address stakePools);
    error FeeLedgerShareOutOfRange(uint16 share, uint16 maximum);
    error FeeLedgerRecipientMissing();
    error FeeLedgerNothingOwed(address account);
    error FeeLedgerNothingToDistribute(address operator, address gateway);
    error FeeLedgerFeesNotTaken(address operator, uint256 amount);
    error FeeLedgerNoSurplus();
}

interface IFeeLedgerEvents {
    event FeesDistributed(
        address indexed operator,
        address indexed gateway,
        uint256 toOperator,
        uint256 toGateway,
        uint256 toGatekeepers,
        uint256 toTreasury
    );
    event Collected(address indexed account, uint256 amount);

    /// @param toPool Whether the operator's pool took it, and not the operator itself.
    event OperatorCollected(address indexed operator, uint256 amount, bool toPool);
    event FeeSharesSet(IFeeLedgerTypes.FeeShares shares);
    event FeeRecipientsSet(address gatekeepers, address treasury);
    event SurplusSwept(address indexed treasury, uint256 amount);
}

/// @title IFeeLedger
/// @notice What claimed fees are owed to whom, until it is collected. Amounts in the token's smallest unit.
/// @dev Conserved to the unit: {totalHeld} is what channels hold unclaimed, what is undistributed, and all that is owed.
/// The token's balance is that or more; more only where somebody sent tokens by mistake.
interface IFeeLedger is IFeeLedgerTypes, IFeeLedgerErrors, IFeeLedgerEvents {
    /// @notice Splits the fees that an operator earned through a gateway, by the shares of now. Anyone.
    /// @dev Each part but the operator's is rounded down, once for each distribution: the operator's is larger by less
    /// than three units.
    /// Warning: the shares are those at this call, not at the claim. Who prefers the present ones to announced new ones
    /// distributes before the timelock's delay is over.
    /// @param gateway Zero for channels without one.
    function distribute(address operator, address gateway) external;

    /// @notice Pays an account what it is owed. Anyone; the money goes to the account.
    function collect(address account) external;

    /// @notice Hands an operator's fees to its pool, or to the operator itself where it has none. Anyone.
    function collectForOperator(address operator) external;

    /// @notice Timelock only. Each share within its maximum.
    function setFeeShares(FeeShares calldata shares) external;

    /// @notice Who gets the gatekeepers' and the treasury's parts of distributions from now on. Timelock only.
    function setFeeRecipients(address gatekeepers, address treasury) external;

    /// @notice Sends tokens that came by mistake to the treasury. Timelock only; can't touch what is held for anyone.
    function sweepSurplus() external;

    function token() external view returns (IPhaToken);
    function stakePools() external view returns (IFeeSink);
    function feeShares() external view returns (FeeShares memory);
    function gatekeepers() external view returns (address);
    function treasury() external view returns (address);

    /// @notice Claimed through this gateway and not distributed yet.
    function undistributed(address operator, address gateway) external view returns (uint256);

    /// @notice What {collect} would pay.
    function owed(address account) external view returns (uint256);

    /// @notice What {collectForOperator} would hand over.
    function owedToOperator(address operator) external view returns (uint256);

    /// @notice All that the contract must have.
    function totalHeld() external view returns (uint256);

    function MAX_GATEWAY_SHARE() external view returns (uint16);
    function MAX_GATEKEEPERS_SHARE() external view returns (uint16);
    function MAX_TREASURY_SHARE() external view returns (uint16);
}
