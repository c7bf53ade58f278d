// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {Receipt} from "../receipts/ReceiptLib.sol";
import {IFeeSink} from "../staking/IFeeSink.sol";
import {IPhaToken} from "../token/IPhaToken.sol";
import {IAnchors} from "./IAnchors.sol";
import {IFeeLedger, IFeeLedgerTypes} from "./IFeeLedger.sol";
import {Channel, OperatorChannel} from "./PaymentRecords.sol";

interface IPaymentsTypes {
    /// @param withdrawalDelay Seconds, MIN_WITHDRAWAL_DELAY to MAX_WITHDRAWAL_DELAY.
    struct PaymentsSettings {
        address timelock;
        IPhaToken token;
        IWorkerRegistry workerRegistry;
        IFeeSink stakePools;
        uint64 withdrawalDelay;
        address gatekeepers;
        address treasury;
        IFeeLedgerTypes.FeeShares shares;
    }

    struct Deposit {
        Channel channel;
        uint128 amount;
    }

    /// @notice A channel of a claim, with the newest voucher. The claim names the operator.
    /// @param maxClaimableAmount The voucher's. One that is not above the highest shown before is not read, nor is its
    /// signature: zero where there is no new one.
    /// @param r, vs The payer key's signature in the form of ERC-2098: vs is s with the parity in its highest bit.
    struct ChannelClaim {
        OperatorChannel channel;
        uint128 maxClaimableAmount;
        bytes32 r;
        bytes32 vs;
    }

    /// @notice A signer's SettlementStatement over channels of the claim.
    /// @param registry In whose domain it is signed.
    /// @param blockNumber The statement's `block`.
    /// @param totals 16 bytes, big-endian, for each channel of the claim, in its order: what this signer's receipts of the
    /// channel come to in all; zero where the statement does not name the channel.
    /// @param r, vs The signer's signature in the form of ERC-2098.
    struct StatementClaim {
        IWorkerRegistry registry;
        uint64 blockNumber;
        bytes32 r;
        bytes32 vs;
        bytes totals;
    }

    /// @notice A receipt as statement of its signer's total in its channel.
    /// @param channelIndex Which channel of the claim.
    /// @param registry In whose domain it is signed.
    /// @param r, vs The signer's signature in the form of ERC-2098.
    struct ReceiptClaim {
        uint256 channelIndex;
        IWorkerRegistry registry;
        bytes32 r;
        bytes32 vs;
        Receipt receipt;
    }

    /// @param deposited Put in and not taken back.
    /// @param voucher The highest that was shown, cut at MAX_DEPOSIT.
    /// @param earned What the signers' totals add up to, cut at MAX_DEPOSIT.
    /// @param claimed The least of the three. What of `earned` is above it can still be claimed: it waits for a better
    /// voucher, or for money in the channel.
    /// @param withdrawing What the payer asked back; CLOSE for everything.
    /// @param withdrawableAt Unix seconds; zero where nothing was asked back.
    struct ChannelState {
        uint256 deposited;
        uint256 voucher;
        uint256 earned;
        uint256 claimed;
        uint128 withdrawing;
        uint64 withdrawableAt;
        bool opened;
        bool closed;
    }
}

interface IPaymentsErrors {
    /// Settings
    error PaymentsDelayOutOfRange(uint64 delay, uint64 minimum, uint64 maximum);
    error PaymentsRegistryWithoutCode(address registry);

    /// Deposits
    error PaymentsBatchOutOfRange(uint256 length, uint256 maximum);
    error PaymentsAmountOutOfRange(uint256 amount, uint256 maximum);
    error PaymentsPayerNotFunder(bytes32 channel, address payer, address funder);
    error PaymentsPartyMissing(bytes32 channel);
    error PaymentsChannelClosed(bytes32 channel);

    /// Claims
    error PaymentsChannelUnknown(bytes32 channel);
    error PaymentsChannelsNotAscending(bytes32 previous, bytes32 next);
    error PaymentsVoucherNotByPayerKey(bytes32 channel, address signer, address payerKey);
    error PaymentsTotalsLengthMismatch(uint256 expectedBytes, uint256 bytes_);
    error PaymentsStatementEmpty(address signer);
    error PaymentsReceiptOfAnotherChannel(bytes32 expected, bytes32 stated);
    error PaymentsIndexOutOfRange(uint256 index, uint256 channels);
    error PaymentsRegistryNotCurrent(address stated, address current);
    error PaymentsSignerNotOfOperator(address signer, address operator, address signersOperator);
    error PaymentsSignerEvicted(address signer, uint64 evictionBlock);
    error PaymentsAnchoredTooLate(address signer, uint64 evictionBlock, uint64 anchoredAt);
    error PaymentsProofsLengthMismatch(uint256 records, uint256 proofs);

    /// Withdrawals
    error PaymentsCallerNotPayer(address caller, address payer);
    error PaymentsCallerNotOperator(address caller, address operator);
    error PaymentsNoWithdrawal(bytes32 channel);
    error PaymentsNotWithdrawable(bytes32 channel, uint64 withdrawableAt, uint256 timestamp);
}

interface IPaymentsEvents {
    event ChannelOpened(bytes32 indexed channel, address indexed payer, address indexed operator, Channel parties);
    event Deposited(bytes32 indexed channel, address indexed from, uint256 amount);

    /// @param paid What this call added to what is claimed.
    event ChannelClaimed(bytes32 indexed channel, uint256 paid);

    event WithdrawalRequested(bytes32 indexed channel, uint128 amount, uint64 withdrawableAt);
    event WithdrawalCancelled(bytes32 indexed channel);
    event Withdrawn(bytes32 indexed channel, address indexed payer, uint256 amount);
    event Released(bytes32 indexed channel, address indexed payer, uint256 amount);
    event ChannelClosed(bytes32 indexed channel);
    event WorkerRegistrySet(address workerRegistry);
}

/// @title IPayments
/// @notice Payment channels in PHA. A channel's payer key signs vouchers, receipt signers of its operator state what they
/// earned; what is paid is bounded by both and by the deposit. Amounts in the token's smallest unit.
/// @dev Invariants. In each channel: claimed = min(deposited, voucher, earned), where voucher is the highest shown and
/// earned the sum over signers of the highest total shown. As each is a maximum or a sum, the order of claims and deposits
/// changes nothing; nothing that a total earned is lost where voucher or deposit don't cover it yet.
/// Kept for ever for each (channel, signer): the highest total, and the registry by which the signer was found to be the
/// operator's. A signer's worker, and a worker's operator, never change in a registry.
/// No pause: neither claims nor withdrawals may ever stop, and a contract that cannot be paused takes no role to pause it.
interface IPayments is IPaymentsTypes, IPaymentsErrors, IPaymentsEvents, IFeeLedger, IAnchors {
    /* DEPOSITS */

    /// @notice Opens channels of the caller, and adds to channels of anyone. By the caller's allowance of the sum.
    /// @param deposits At most MAX_BATCH; the same channel may stand twice. A channel that is not open yet must have the
    /// caller as payer: nobody else can let a key speak for an account.
    /// @dev Warning: what a sponsor adds goes back to the payer.
    function deposit(Deposit[] calldata deposits) external;

    /// @notice The same with the caller's ERC-2612 permit for the sum.
    /// @dev A permit that fails is passed over where the allowance suffices: somebody may have used it before.
    function depositWithPermit(
        Deposit[] calldata deposits,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice The same by an ERC-3009 authorization to receive; anyone may carry it.
    /// @param from Who pays: the payer of channels that are opened.
    /// @param salt Tells authorizations for the same deposits apart.
    /// @dev The authorization's nonce must be {authorizationNonce}, so that it pays for these deposits and no others.
    function depositWithAuthorization(
        Deposit[] calldata deposits,
        address from,
        bytes32 salt,
        uint256 validAfter,
        uint256 validBefore,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /* CLAIMS */

    /// @notice Counts vouchers and totals, and credits what they bear. Anyone; the money goes to the parties.
    /// @param operator Of all the channels.
    /// @param channels Strictly ascending by id, at most MAX_BATCH.
    /// @param statements Of signers that are not evicted. An old total or voucher changes nothing.
    function claim(
        address operator,
        ChannelClaim[] calldata channels,
        StatementClaim[] calldata statements
    ) external;

    /// @notice The same with statements that were anchored, before the signer's eviction where it was evicted since,
    /// whatever time they state.
    /// @param proofs One for each statement.
    function claimAnchored(
        address operator,
        ChannelClaim[] calldata channels,
        StatementClaim[] calldata statements,
        AnchorProof[] calldata proofs
    ) external;

    /// @notice The same by receipts: each states its signer's total in its channel.
    function claimByReceipts(
        address operator,
        ChannelClaim[] calldata channels,
        ReceiptClaim[] calldata receipts
    ) external;

    /// @notice The same with receipts that were anchored, before the signer's eviction where it was evicted since.
    /// @param proofs One for each receipt.
    function claimByAnchoredReceipts(
        address operator,
        ChannelClaim[] calldata channels,
        ReceiptClaim[] calldata receipts,
        AnchorProof[] calldata proofs
    ) external;

    /* WITHDRAWALS */

    /// @notice Asks `amount` back, to be paid after the delay: it is the time in which what was earned can be claimed.
    /// The payer; a new wish replaces the one before and starts the delay anew.
    /// @dev Signers that were replaced, lapsed or retired stay claimable for as long as the money is there: that is this
    /// delay at least.
    function requestWithdrawal(Channel calldata channel, uint128 amount) external;

    /// @notice Asks everything back that will be left, and ends the channel with it. The payer.
    function requestClose(Channel calldata channel) external;

    /// @notice Takes the wish back. The payer.
    function cancelWithdrawal(Channel calldata channel) external;

    /// @notice Pays the payer what was asked back, or what is left if that is less. Anyone, after the delay.
    function withdraw(Channel calldata channel) external;

    /// @notice Lets money go before any delay: pays it back to the payer. The operator.
    function release(Channel calldata channel, uint128 amount) external;

    /* GOVERNANCE */

    /// @notice Which registry says whose a signer is that was not seen in a channel before. Timelock only.
    /// @dev Warning: records of signers of the registry before count only in channels where that signer has a total
    /// already. Operators claim before the timelock's delay is over.
    function setWorkerRegistry(IWorkerRegistry workerRegistry) external;

    /* VIEWS */

    function channelId(Channel calldata channel) external view returns (bytes32);
    function channelOf(bytes32 channel) external view returns (ChannelState memory);

    /// @notice The highest total of a signer in a channel that was shown, and the registry that vouched for it.
    function totalOf(bytes32 channel, address signer) external view returns (uint256 total, address registry);

    /// @notice H("cloister/deposits: v1", salt, keccak256(abi.encode(deposits))).
    function authorizationNonce(Deposit[] calldata deposits, bytes32 salt) external pure returns (bytes32);

    /// @notice The EIP-712 domain separator of vouchers.
    function voucherDomainSeparator() external view returns (bytes32);

    /// @notice The parts of that domain, as ERC-5267 has them.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );

    function workerRegistry() external view returns (IWorkerRegistry);
    function withdrawalDelay() external view returns (uint64);

    function MAX_BATCH() external view returns (uint256);
    function MAX_DEPOSIT() external view returns (uint256);
    function CLOSE() external view returns (uint128);
    function MIN_WITHDRAWAL_DELAY() external view returns (uint64);
    function MAX_WITHDRAWAL_DELAY() external view returns (uint64);
}
