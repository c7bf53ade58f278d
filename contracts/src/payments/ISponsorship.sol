// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPhaToken} from "../token/IPhaToken.sol";
import {IPayments} from "./IPayments.sol";
import {Channel} from "./PaymentRecords.sol";

interface ISponsorshipErrors {
    error SponsorshipWithoutCode(address account);
    error SponsorshipSponsorMissing();
    error SponsorshipCallerNotSponsor(address caller, address sponsor);
    error SponsorshipCallerNotClient(address caller, address client);
    error SponsorshipPayerNotThis(address payer);
    error SponsorshipCapExceeded(address client, uint64 epoch, uint256 wanted, uint256 left);
}

interface ISponsorshipEvents {
    event CapSet(address indexed client, uint128 perEpoch);

    /// @param left Of the client's cap in this epoch.
    event Funded(address indexed client, address indexed operator, uint64 indexed epoch, uint256 amount, uint256 left);
    event Taken(uint256 amount);
}

/// @title ISponsorship
/// @notice A sponsor's PHA for calls of its clients: the payer of their channels, so that what is left comes back here. A
/// client is the key that signs vouchers. Amounts in the token's smallest unit.
/// @dev What a client can spend, and lose to an operator that it acts together with, is the caps of the epochs that it used;
/// of two epochs that meet it may use both caps at once. What stands in a channel the sponsor can take back only after
/// {IPayments.withdrawalDelay}, in which workers claim what they earned; what stands here is promised to nobody.
/// Warning: PHA that others send here, or add to these channels, is the sponsor's.
interface ISponsorship is ISponsorshipErrors, ISponsorshipEvents {
    /// @notice Opens a channel of a client, or adds to it. The client, or the sponsor for it; either counts for the cap.
    /// @param channel With this contract as payer and the client as payer key; any operator and gateway.
    function fund(Channel calldata channel, uint128 amount) external;

    /// @notice What may be put into a client's channels in an epoch, from now on; zero for nothing. The sponsor.
    /// @dev What is in channels already stays there.
    function setCap(address client, uint128 perEpoch) external;

    /// @notice Asks back what a channel has left, up to `amount`: comes here by {IPayments.withdraw}, which anyone may call after
    /// the delay. The sponsor.
    function requestWithdrawal(Channel calldata channel, uint128 amount) external;

    /// @notice Asks back all that a channel will have left, and ends it with that. The sponsor.
    function requestClose(Channel calldata channel) external;

    /// @notice Takes such a wish back. The sponsor.
    function cancelWithdrawal(Channel calldata channel) external;

    /// @notice Pays the sponsor what stands here. The sponsor.
    function take(uint256 amount) external;

    /// @notice The epoch of now, 0 before the first, by the clock of the registry that Payments had when this was deployed.
    function epoch() external view returns (uint64);

    /// @notice What may still be put into a client's channels in this epoch.
    function leftOf(address client) external view returns (uint256);
    function capOf(address client) external view returns (uint128 perEpoch);
    function sponsor() external view returns (address);
    function payments() external view returns (IPayments);
    function token() external view returns (IPhaToken);
}
