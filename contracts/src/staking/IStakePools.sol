// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IFeeSink} from "./IFeeSink.sol";

interface IStakePoolsTypes {
    /// @notice What these pools are for ever. Seconds.
    /// @param timelock The TimelockController that governs the little that is governed.
    /// @param token PHA.
    /// @param earningsTime How long new earnings take to flow in: an epoch.
    /// @param unbonding From a request to its payment at the least. What asked to leave, and the bond of a worker that
    /// stopped, can be slashed for so long.
    /// @param maxPause How long a pool is paused at most while a slash is unsettled.
    struct StakePoolsSettings {
        address timelock;
        IERC20 token;
        uint32 earningsTime;
        uint32 unbonding;
        uint32 maxPause;
    }

    /// @notice A pool as it is now. Amounts in the smallest unit of PHA.
    /// @param closed It lost nearly all by slashes: takes no deposits, earnings or workers any more.
    /// @param commissionBps Of earnings, for the operator, in ten-thousandths.
    /// @param nextCommissionBps, nextCommissionAt A raise that waits, and the unix second of its effect; zero for none.
    /// @param openSeizures Slashes that are not settled.
    /// @param pausedUntil Unix seconds; counts only while there are open seizures.
    /// @param capacity Deposits bring `assets` up to this at most.
    /// @param reserved Bonds of its workers.
    /// @param commission What the operator may collect.
    /// @param unstreamed Earnings that have not flowed in.
    /// @param assets, shares Staked: what earns.
    /// @param leaving What backers asked back and have not claimed.
    /// @param ownLeaving What the operator did.
    struct PoolStatus {
        bool exists;
        bool closed;
        bool allowlistOn;
        uint16 commissionBps;
        uint16 nextCommissionBps;
        uint40 nextCommissionAt;
        uint16 openSeizures;
        uint40 pausedUntil;
        uint128 capacity;
        uint128 reserved;
        uint128 commission;
        uint128 unstreamed;
        uint128 assets;
        uint256 shares;
        uint128 leaving;
        uint128 ownLeaving;
    }

    /// @notice A wish to leave. Its units are a part of the pool's lane, whose worth only slashes lower.
    /// @param turn The lane's running total after it: it may be claimed once that much is served.
    struct RedeemRequest {
        // ### 1st slot
        address owner;
        uint40 requestedAt;
        // ### 2nd slot
        uint256 units;
        // ### 3rd slot
        uint256 turn;
    }

    enum SeizureState {
        None,
        Open,
        Settled,
        Restored
    }

    /// @notice What a slash took, and of whom.
    /// @param holder Who holds the amount until it is settled.
    /// @param ownStaked Of the operator's shares, which were burnt.
    /// @param ownLeaving Of what the operator had asked back.
    /// @param staked Of all other shares.
    /// @param leaving Of what backers had asked back.
    struct Seizure {
        // ### 1st slot
        address pool;
        SeizureState state;
        // ### 2nd slot
        address holder;
        // ### 3rd slot
        uint128 ownStaked;
        uint128 ownLeaving;
        // ### 4th slot
        uint128 staked;
        uint128 leaving;
    }
}

interface IStakePoolsErrors {
    /// Settings
    error StakePoolsWithoutCode(address account);
    error StakePoolsDurationOutOfRange(uint32 duration, uint32 minimum, uint32 maximum);
    error StakePoolsWorkerBondsSet(address workerBonds);
    error StakePoolsShareOutOfRange(uint256 bps, uint256 maximum);

    /// Caller
    error StakePoolsCallerNotWorkerBonds(address caller, address workerBonds);
    error StakePoolsCallerNotOwner(address caller, address owner);
    error StakePoolsCallerNotHolder(address caller, address holder);

    /// Pools
    error StakePoolsPoolExists(address pool);
    error StakePoolsPoolUnknown(address pool);
    error StakePoolsClosed(address pool);
    error StakePoolsCommissionTooHigh(uint256 bps, uint256 maximum);
    error StakePoolsCommissionUnchanged(uint256 bps);

    /// Stake
    error StakePoolsZeroAmount();
    error StakePoolsReceiverMissing();
    error StakePoolsDepositTooSmall(uint256 assets, uint256 minimum);
    error StakePoolsCapacityExceeded(address pool, uint256 assets, uint256 capacity);
    error StakePoolsNotAllowed(address pool, address account);
    error StakePoolsTooFewShares(address pool, address account, uint256 has, uint256 wanted);
    error StakePoolsSeizureOpen(address pool, uint256 openSeizures);
    error StakePoolsPaused(address pool, uint256 until);
    error StakePoolsRequestUnknown(address pool, uint256 requestId);
    error StakePoolsNotClaimable(uint256 claimableAt, uint256 timestamp);
    error StakePoolsNotServed(uint256 turn, uint256 served);

    /// Bonds
    error StakePoolsTooLittleStake(address pool, uint256 has, uint256 needed);
    error StakePoolsOwnStakeTooSmall(address pool, uint256 has, uint256 needed);
    error StakePoolsTooLittleReserved(address pool, uint256 reserved, uint256 amount);
    error StakePoolsSeizureNotOpen(uint256 seizureId, IStakePoolsTypes.SeizureState state);

    /// Histories
    error StakePoolsFutureLookup(uint256 timepoint, uint48 clock);
}

interface IStakePoolsEvents {
    event PoolCreated(address indexed pool, uint16 commissionBps, uint128 capacity, bool allowlistOn);
    event CapacitySet(address indexed pool, uint128 capacity);
    event AllowlistSet(address indexed pool, bool allowlistOn);
    event AllowedSet(address indexed pool, address indexed account, bool allowed);

    /// @param effectiveAt Unix seconds.
    event CommissionSet(address indexed pool, uint16 commissionBps, uint40 effectiveAt);

    event Deposited(
        address indexed pool,
        address indexed sender,
        address indexed receiver,
        uint256 assets,
        uint256 shares
    );
    event SharesTransferred(address indexed pool, address indexed from, address indexed to, uint256 shares);
    event RedeemRequested(
        address indexed pool,
        address indexed owner,
        uint256 indexed requestId,
        uint256 shares,
        uint256 assets,
        uint256 units,
        uint256 turn
    );
    event Served(address indexed pool, uint256 servedUnits, uint256 servedOwnUnits);
    event RedeemClaimed(
        address indexed pool,
        address indexed owner,
        uint256 indexed requestId,
        address receiver,
        uint256 assets
    );

    /// @param commission The operator's part of `amount`.
    event EarningsAdded(address indexed pool, address indexed from, uint256 amount, uint256 commission);
    event CommissionCollected(address indexed pool, address receiver, uint256 amount);

    event Reserved(address indexed pool, uint256 amount, uint256 reserved);
    event Released(address indexed pool, uint256 amount, uint256 reserved);
    event Seized(
        address indexed pool,
        uint256 indexed seizureId,
        address holder,
        uint256 ownStaked,
        uint256 ownLeaving,
        uint256 staked,
        uint256 leaving
    );
    event SeizureSettled(address indexed pool, uint256 indexed seizureId);
    event SeizureRestored(address indexed pool, uint256 indexed seizureId, uint256 ownShares);
    event PoolClosed(address indexed pool, bool closed);
    event WorkerBondsSet(address workerBonds);
    event OwnStakeShareSet(uint16 bps);
}

/// @title IStakePools
/// @notice Custody of staked PHA, fixed for ever: one pool for each operator, named by the operator's address. Backers
/// hold its shares; earnings raise their worth, slashes lower it.
/// @dev Assets are counted here, never by the token's balance. All rounding is for the pool.
///
/// Leaving: {requestRedeem} turns shares into units of the pool's lane of leaving stake, which earns nothing and whose
/// worth only a slash lowers. So a request pays the lesser of its worth when asked and when claimed. It may be claimed
/// after `unbonding`, once its turn is served: from what bonds do not need, in the order of requests, by anyone. The
/// operator's own requests have a lane of their own, served after all others and never below the own stake that its
/// bonds ask for. Who waits longer than `unbonding` may have workers stopped ({IWorkerBonds.forceStop}), whose bonds
/// come free after another `unbonding`: no exit takes longer than both, and the pauses of slashes meanwhile.
///
/// Slashes: the operator's own shares burn first, then its own leaving stake, then all others bear the rest alike,
/// staked and leaving. While a slash is unsettled nobody deposits, and up to `maxPause` nobody claims or transfers. A
/// pool is not paused again within 2 days after that time.
interface IStakePools is IFeeSink, IStakePoolsTypes, IStakePoolsErrors, IStakePoolsEvents {
    /* POOLS */

    /// @notice Opens the caller's pool. Once for each account.
    /// @param commissionBps At most MAX_COMMISSION_BPS.
    function createPool(uint16 commissionBps, uint128 capacity, bool allowlistOn) external;

    /// @notice Lowers the caller's commission at once, or raises it by at most MAX_COMMISSION_STEP_BPS after twice
    /// `unbonding`. Either takes a raise that waits back.
    function setCommission(uint16 commissionBps) external;

    /// @notice Who holds shares stays, whatever the capacity.
    function setCapacity(uint128 capacity) external;

    /// @notice Whether only accounts that the operator allowed get shares, by deposit or transfer.
    function setAllowlist(bool allowlistOn) external;
    function setAllowed(address account, bool allowed) external;

    /* STAKE */

    /// @notice Stakes the caller's PHA, by its allowance, for shares of `receiver`.
    /// @param assets At least MIN_DEPOSIT.
    function deposit(address pool, uint256 assets, address receiver) external returns (uint256 shares);

    /// @notice The same with a permit (ERC-2612) of the caller. One that somebody used before does no harm.
    function depositWithPermit(
        address pool,
        uint256 assets,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares);

    /// @dev The operator can't transfer below the own stake that its workers' bonds ask for.
    function transferShares(address pool, address to, uint256 shares) external;

    /// @notice Asks for shares back: they stop earning now.
    /// @dev In a closed pool only once its slashes are settled.
    function requestRedeem(address pool, uint256 shares) external returns (uint256 requestId);

    /// @notice Pays the caller's request out, once its time has come and its turn is served.
    function claimRedeem(address pool, uint256 requestId, address receiver) external returns (uint256 assets);

    /// @notice Serves what free stake covers. Anyone; {claimRedeem} does it too.
    function serve(address pool) external;

    /* EARNINGS */

    /// @notice Pays the caller's commission out.
    function collectCommission(address receiver) external returns (uint256 amount);

    /// @notice Counts what has flowed in, and writes the rate that votes go by. Anyone.
    function accrue(address pool) external;

    /* BONDS */

    /// @notice Sets stake aside as a worker's bond. {WorkerBonds} only; needs staked assets that nothing else has, and
    /// the operator's part of them.
    function reserve(address pool, uint256 amount) external;

    /// @notice Gives it free. {WorkerBonds} only.
    function release(address pool, uint256 amount) external;

    /// @notice Takes a worker's bond, or a part, to `holder`. {WorkerBonds} only.
    /// @param amount Of what is reserved.
    /// @return seizureId For {settle} or {restore}.
    /// @return moved Less than `amount` only where the pool has less.
    function seize(
        address pool,
        uint256 amount,
        address holder
    ) external returns (uint256 seizureId, uint256 moved);

    /// @notice Ends a seizure: what was taken stays taken. Its holder.
    function settle(uint256 seizureId) external;

    /// @notice Takes a seizure back, by the holder's allowance. Its holder.
    /// @dev First what was taken of all alike goes back to staked and leaving stake in proportion to what they have now
    /// (in a closed pool: as it was taken), then the operator's leaving stake, then new shares for the operator at the
    /// price of then in place of those that were burnt. Where nobody is left who bore the loss, it flows in as earnings.
    /// Who claimed after the pause ended and before this gets nothing back.
    function restore(uint256 seizureId) external;

    /* GOVERNANCE */

    /// @notice Names the contract that reserves and seizes. Once, for ever. Timelock only.
    function setWorkerBonds(address workerBonds) external;

    /// @notice The operator's own part of its bonds, in ten-thousandths, at most MAX_OWN_STAKE_BPS. Timelock only.
    function setOwnStakeShare(uint16 bps) external;

    /* VIEWS */

    function poolOf(address pool) external view returns (PoolStatus memory);
    function isAllowed(address pool, address account) external view returns (bool);
    function sharesOf(address pool, address account) external view returns (uint256);

    /// @notice Units of leaving stake, of all requests that are not claimed.
    function unitsOf(address pool, address account) external view returns (uint256);
    function requestOf(address pool, uint256 requestId) external view returns (RedeemRequest memory);
    function requestCount(address pool) external view returns (uint256);

    /// @notice What a request is worth now, and whether {claimRedeem} would pay it.
    function claimableRedeem(
        address pool,
        uint256 requestId
    ) external view returns (uint256 assets, bool claimable);

    function convertToShares(address pool, uint256 assets) external view returns (uint256);
    function convertToAssets(address pool, uint256 shares) external view returns (uint256);
    function seizureOf(uint256 seizureId) external view returns (Seizure memory);

    /// @notice Whether claims and transfers wait.
    function isPaused(address pool) external view returns (bool);

    /// @notice Whether {reserve} would take this.
    function canReserve(address pool, uint256 amount) external view returns (bool);

    /// @notice The most that bonds may need now: stake that can't be claimed, and what the own stake suffices for; and what
    /// rounding may have taken.
    function coverOf(address pool) external view returns (uint256);

    /// @notice The most that bonds may need for this request to be served, less what rounding may take of it.
    function coverBehind(address pool, uint256 requestId) external view returns (uint256);

    /// @notice All PHA that is owed to somebody here; the token's balance is never less.
    function totalHeld() external view returns (uint256);

    /* HISTORIES: by timestamp in the past */

    /// @notice The stake's worth in PHA: shares times their rate, and units of unclaimed requests times theirs. What is
    /// in escrow of a slash counts nowhere.
    /// @dev Rates are those of the last deposit, request, slash, restoration or {accrue}: what flowed in since counts from the
    /// next.
    function getPastVotes(address account, address pool, uint256 timepoint) external view returns (uint256);
    function getPastShares(address account, address pool, uint256 timepoint) external view returns (uint256);
    function getPastUnits(address account, address pool, uint256 timepoint) external view returns (uint256);
    function getPastTotalShares(address pool, uint256 timepoint) external view returns (uint256);

    /// @notice Assets for each share times 1e24: 1e18 at par, zero before the first deposit.
    function getPastRate(address pool, uint256 timepoint) external view returns (uint256);

    /// @notice The same of units of leaving stake.
    /// @param own Of the operator's lane.
    function getPastUnitRate(address pool, bool own, uint256 timepoint) external view returns (uint256);
    function clock() external view returns (uint48);
    function CLOCK_MODE() external pure returns (string memory);

    function token() external view returns (IERC20);
    function workerBonds() external view returns (address);
    function ownStakeBps() external view returns (uint16);
    function earningsTime() external view returns (uint32);
    function unbonding() external view returns (uint32);
    function maxPause() external view returns (uint32);
    function MIN_DEPOSIT() external view returns (uint256);
    function MAX_COMMISSION_BPS() external view returns (uint16);
    function MAX_COMMISSION_STEP_BPS() external view returns (uint16);
    function MAX_OWN_STAKE_BPS() external view returns (uint16);
}
