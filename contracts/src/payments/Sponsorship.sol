// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {IPhaToken} from "../token/IPhaToken.sol";
import {IPayments, IPaymentsTypes} from "./IPayments.sol";
import {ISponsorship} from "./ISponsorship.sol";
import {Channel} from "./PaymentRecords.sol";

/// @title Sponsorship
contract Sponsorship is ISponsorship {
    using SafeERC20 for IPhaToken;

    /// @dev What a client used in the last epoch in which it used anything.
    struct Client {
        // ### 1st slot
        uint128 cap;
        uint128 used;
        // ### 2nd slot
        uint64 epoch;
    }

    /// @inheritdoc ISponsorship
    IPayments public immutable payments;

    /// @inheritdoc ISponsorship
    IPhaToken public immutable token;

    /// @inheritdoc ISponsorship
    address public immutable sponsor;

    uint64 private immutable _genesis;
    uint32 private immutable _epochLength;

    mapping(address client => Client) private _clients;

    constructor(IPayments payments_, address sponsor_) {
        if (address(payments_).code.length == 0) revert SponsorshipWithoutCode(address(payments_));
        if (sponsor_ == address(0)) revert SponsorshipSponsorMissing();
        payments = payments_;
        sponsor = sponsor_;
        token = payments_.token();
        IWorkerRegistry registry = payments_.workerRegistry();
        _genesis = registry.genesis();
        _epochLength = registry.epochLength();
    }

    modifier onlySponsor() {
        if (msg.sender != sponsor) revert SponsorshipCallerNotSponsor(msg.sender, sponsor);
        _;
    }

    /// @inheritdoc ISponsorship
    function fund(Channel calldata channel, uint128 amount) external {
        address client = channel.payerKey;
        if (msg.sender != client && msg.sender != sponsor) revert SponsorshipCallerNotClient(msg.sender, client);
        if (channel.payer != address(this)) revert SponsorshipPayerNotThis(channel.payer);
        uint64 now_ = epoch();
        uint256 left = leftOf(client);
        if (amount > left) revert SponsorshipCapExceeded(client, now_, amount, left);
        Client storage kept = _clients[client];
        kept.used = kept.epoch == now_ ? kept.used + amount : amount;
        kept.epoch = now_;
        emit Funded(client, channel.operator, now_, amount, left - amount);

        IPaymentsTypes.Deposit[] memory deposits = new IPaymentsTypes.Deposit[](1);
        deposits[0] = IPaymentsTypes.Deposit(channel, amount);
        token.forceApprove(address(payments), amount);
        payments.deposit(deposits);
    }

    /// @inheritdoc ISponsorship
    function setCap(address client, uint128 perEpoch) external onlySponsor {
        _clients[client].cap = perEpoch;
        emit CapSet(client, perEpoch);
    }

    /// @inheritdoc ISponsorship
    function requestWithdrawal(Channel calldata channel, uint128 amount) external onlySponsor {
        payments.requestWithdrawal(channel, amount);
    }

    /// @inheritdoc ISponsorship
    function requestClose(Channel calldata channel) external onlySponsor {
        payments.requestClose(channel);
    }

    /// @inheritdoc ISponsorship
    function cancelWithdrawal(Channel calldata channel) external onlySponsor {
        payments.cancelWithdrawal(channel);
    }

    /// @inheritdoc ISponsorship
    function take(uint256 amount) external onlySponsor {
        emit Taken(amount);
        token.safeTransfer(sponsor, amount);
    }

    /// @inheritdoc ISponsorship
    function epoch() public view returns (uint64) {
        // No truncation: seconds fit 64 bits.
        return block.timestamp < _genesis ? 0 : uint64((block.timestamp - _genesis) / _epochLength);
    }

    /// @inheritdoc ISponsorship
    function leftOf(address client) public view returns (uint256) {
        Client memory kept = _clients[client];
        if (kept.epoch != epoch()) return kept.cap;
        return kept.cap > kept.used ? kept.cap - kept.used : 0;
    }

    /// @inheritdoc ISponsorship
    function capOf(address client) external view returns (uint128) {
        return _clients[client].cap;
    }
}
