// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";

import {Governed} from "../governance/Governed.sol";
import {EarningsStream, Stream} from "./EarningsStream.sol";
import {ExitLane, Lane} from "./ExitLane.sol";
import {IFeeSink} from "./IFeeSink.sol";
import {IStakePools} from "./IStakePools.sol";
import {Ledger, ShareMath} from "./ShareMath.sol";
import {HolderHistory, PoolHistory, StakeVotes} from "./StakeVotes.sol";

/// @title StakePools
/// @dev Each function writes all its state before its one transfer, which is its last act: a token that called back would
/// find the books complete.
contract StakePools is IStakePools, Governed {
    using Checkpoints for Checkpoints.Trace208;
    using EarningsStream for Stream;
    using ExitLane for Lane;
    using SafeERC20 for IERC20;
    using ShareMath for Ledger;
    using StakeVotes for Checkpoints.Trace208;
    using StakeVotes for HolderHistory;

    struct Pool {
        // ### 1st slot
        bool exists;
        bool closed;
        bool allowlistOn;
        uint16 commissionBps;
        uint16 nextCommissionBps;
        uint40 nextCommissionAt;
        uint16 openSeizures;
        uint40 pausedUntil;
        // ### 2nd slot
        uint128 capacity;
        uint128 reserved;
        // ### 3rd slot
        uint128 commission;
        // ### 4th slot
        Stream stream;
        // ### then
        Ledger staked;
        Lane[2] lanes;
        RedeemRequest[] requests;
    }

    uint256 private constant BPS = 10_000;
    uint32 private constant MIN_DURATION = 1 minutes;
    uint32 private constant MAX_DURATION = 28 days;
    /// @dev After the longest time of a pause, before the next one.
    uint256 private constant PAUSE_GAP = 2 days;
    /// @dev With less staked than one PHA earnings wait: who holds next to nothing, and all of the pool, could drive the
    /// price of shares up by them.
    uint256 private constant MIN_EARNING_STAKE = 1e18;
    /// @dev What rounding may take from cover, a unit in each of four terms. It stops no worker, and a request that is kept by
    /// so little may have workers stopped.
    uint256 private constant ROUNDING = 4;
    uint256 private constant BACKERS = 0;
    uint256 private constant OWN = 1;

    /// @inheritdoc IStakePools
    uint256 public constant MIN_DEPOSIT = 1e16;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_COMMISSION_BPS = 5_000;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_COMMISSION_STEP_BPS = 500;

    /// @inheritdoc IStakePools
    uint16 public constant MAX_OWN_STAKE_BPS = 5_000;

    /// @inheritdoc IStakePools
    IERC20 public immutable token;

    /// @inheritdoc IStakePools
    uint32 public immutable earningsTime;

    /// @inheritdoc IStakePools
    uint32 public immutable unbonding;

    /// @inheritdoc IStakePools
    uint32 public immutable maxPause;

    /// @inheritdoc IStakePools
    address public workerBonds;

    /// @inheritdoc IStakePools
    uint16 public ownStakeBps;

    /// @inheritdoc IStakePools
    uint256 public totalHeld;

    mapping(address operator => Pool) private _pools;
    mapping(address pool => PoolHistory) private _histories;
    mapping(address pool => mapping(address account => HolderHistory)) private _holders;
    mapping(address pool => mapping(address account => bool)) private _allowed;
    Seizure[] private _seizures;

    constructor(StakePoolsSettings memory settings) Governed(settings.timelock) {
        if (address(settings.token).code.length == 0) revert StakePoolsWithoutCode(address(settings.token));
        _checkDuration(settings.earningsTime);
        _checkDuration(settings.unbonding);
        _checkDuration(settings.maxPause);
        token = settings.token;
        earningsTime = settings.earningsTime;
        unbonding = settings.unbonding;
        maxPause = settings.maxPause;
    }

    modifier onlyWorkerBonds() {
        if (msg.sender != workerBonds) revert StakePoolsCallerNotWorkerBonds(msg.sender, workerBonds);
        _;
    }

    /* POOLS */

    /// @inheritdoc IStakePools
    function createPool(uint16 commissionBps, uint128 capacity, bool allowlistOn) external {
        Pool storage pool = _pools[msg.sender];
        if (pool.exists) revert StakePoolsPoolExists(msg.sender);
        _checkCommission(commissionBps, MAX_COMMISSION_BPS);
        pool.exists = true;
        pool.commissionBps = commissionBps;
        pool.capacity = capacity;
        pool.allowlistOn = allowlistOn;
        PoolHistory storage history = _histories[msg.sender];
        Ledger memory empty;
        uint256 par = empty.rate();
        history.unitRates[BACKERS].set(par);
        history.unitRates[OWN].set(par);
        emit PoolCreated(msg.sender, commissionBps, capacity, allowlistOn);
    }

    /// @inheritdoc IStakePools
    function setCommission(uint16 commissionBps) external {
        Pool storage pool = _poolAt(msg.sender);
        _takeUpCommission(pool);
        uint16 present = pool.commissionBps;
        bool waits = pool.nextCommissionAt != 0;
        if (commissionBps == present && !waits) revert StakePoolsCommissionUnchanged(commissionBps);
        _checkCommission(commissionBps, MAX_COMMISSION_BPS);
        _checkCommission(commissionBps, present + MAX_COMMISSION_STEP_BPS);
        uint40 effectiveAt = uint40(block.timestamp);
        if (commissionBps > present) {
            // Longer than who asks at once waits: nobody bears a raise that he left for.
            effectiveAt += 2 * uint40(unbonding);
            pool.nextCommissionBps = commissionBps;
            pool.nextCommissionAt = effectiveAt;
        } else {
            pool.commissionBps = commissionBps;
            pool.nextCommissionBps = 0;
            pool.nextCommissionAt = 0;
        }
        emit CommissionSet(msg.sender, commissionBps, effectiveAt);
    }

    /// @inheritdoc IStakePools
    function setCapacity(uint128 capacity) external {
        _poolAt(msg.sender).capacity = capacity;
        emit CapacitySet(msg.sender, capacity);
    }

    /// @inheritdoc IStakePools
    function setAllowlist(bool allowlistOn) external {
        _poolAt(msg.sender).allowlistOn = allowlistOn;
        emit AllowlistSet(msg.sender, allowlistOn);
    }

    /// @inheritdoc IStakePools
    function setAllowed(address account, bool allowed) external {
        _poolAt(msg.sender);
        _allowed[msg.sender][account] = allowed;
        emit AllowedSet(msg.sender, account, allowed);
    }

    /* STAKE */

    /// @inheritdoc IStakePools
    function deposit(
        address pool,
        uint256 assets,
        address receiver
    ) external returns (uint256 shares) {
        return _deposit(pool, assets, receiver);
    }

    /// @inheritdoc IStakePools
    function depositWithPermit(
        address pool,
        uint256 assets,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 shares) {
        // Whoever saw the permit may have used it first; then the allowance is there, and otherwise the transfer fails.
        try IERC20Permit(address(token)).permit(msg.sender, address(this), assets, deadline, v, r, s) {} catch {}
        return _deposit(pool, assets, receiver);
    }

    /// @inheritdoc IStakePools
    function transferShares(address pool, address to, uint256 shares) external {
        Pool storage p = _poolAt(pool);
        _checkNotPaused(p, pool);
        _checkReceiver(p, pool, to);
        _takeShares(pool, msg.sender, shares);
        _holders[pool][to].shares.increase(shares);
        if (msg.sender == pool) {
            _accrue(p);
            uint256 needed = _ownStakeFor(p.reserved);
            uint256 has = _ownStake(p, pool, p.staked);
            if (has < needed) revert StakePoolsOwnStakeTooSmall(pool, has, needed);
        }
        emit SharesTransferred(pool, msg.sender, to, shares);
    }

    /// @inheritdoc IStakePools
    function requestRedeem(address pool, uint256 shares) external returns (uint256 requestId) {
        Pool storage p = _poolAt(pool);
        if (p.closed) _checkNoSeizure(p, pool);
        _accrue(p);
        _takeShares(pool, msg.sender, shares);
        uint256 assets = p.staked.toAssetsDown(shares);
        // No truncation: at most staked.assets.
        p.staked.assets -= uint128(assets);
        p.staked.shares -= shares;
        (uint256 units, uint256 turn) = p.lanes[_laneOf(pool, msg.sender)].enter(assets);
        if (units == 0) revert StakePoolsZeroAmount();
        requestId = p.requests.length;
        p.requests.push(RedeemRequest(msg.sender, uint40(block.timestamp), units, turn));
        _holders[pool][msg.sender].units.increase(units);
        _record(p, pool);
        emit RedeemRequested(pool, msg.sender, requestId, shares, assets, units, turn);
    }

    /// @inheritdoc IStakePools
    function claimRedeem(
        address pool,
        uint256 requestId,
        address receiver
    ) external returns (uint256 assets) {
        Pool storage p = _poolAt(pool);
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        if (msg.sender != request.owner) revert StakePoolsCallerNotOwner(msg.sender, request.owner);
        _checkNotPaused(p, pool);
        uint256 claimableAt = uint256(request.requestedAt) + unbonding;
        if (block.timestamp < claimableAt) revert StakePoolsNotClaimable(claimableAt, block.timestamp);
        Lane storage lane = p.lanes[_laneOf(pool, request.owner)];
        if (request.turn > lane.served) {
            _accrue(p);
            _serve(p, pool);
            if (request.turn > lane.served) revert StakePoolsNotServed(request.turn, lane.served);
        }
        delete p.requests[requestId];
        assets = lane.payOut(request.units);
        _holders[pool][msg.sender].units.decrease(request.units);
        totalHeld -= assets;
        emit RedeemClaimed(pool, msg.sender, requestId, receiver, assets);
        token.safeTransfer(receiver, assets);
    }

    /// @inheritdoc IStakePools
    function serve(address pool) external {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _serve(p, pool);
    }

    /* EARNINGS */

    /// @inheritdoc IFeeSink
    function addFees(address operator, uint256 amount) external {
        Pool storage p = _openPoolAt(operator);
        if (amount == 0) revert StakePoolsZeroAmount();
        _takeUpCommission(p);
        _accrue(p);
        uint256 commission = amount * p.commissionBps / BPS;
        // No truncation: both are parts of PHA that is transferred below, of which there is less than 2^128.
        p.commission += SafeCast.toUint128(commission);
        p.stream.add(SafeCast.toUint128(amount - commission), earningsTime);
        totalHeld += amount;
        emit EarningsAdded(operator, msg.sender, amount, commission);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IStakePools
    function collectCommission(address receiver) external returns (uint256 amount) {
        Pool storage p = _poolAt(msg.sender);
        amount = p.commission;
        if (amount == 0) revert StakePoolsZeroAmount();
        p.commission = 0;
        totalHeld -= amount;
        emit CommissionCollected(msg.sender, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IStakePools
    function accrue(address pool) external {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _record(p, pool);
    }

    /* BONDS */

    /// @inheritdoc IStakePools
    function reserve(address pool, uint256 amount) external onlyWorkerBonds {
        Pool storage p = _openPoolAt(pool);
        _accrue(p);
        uint256 needed = p.reserved + amount;
        if (needed > p.staked.assets) revert StakePoolsTooLittleStake(pool, p.staked.assets, needed);
        uint256 ownNeeded = _ownStakeFor(needed);
        uint256 own = _ownStaked(pool, p.staked);
        if (own < ownNeeded) revert StakePoolsOwnStakeTooSmall(pool, own, ownNeeded);
        // No truncation: at most staked.assets.
        p.reserved = uint128(needed);
        emit Reserved(pool, amount, needed);
    }

    /// @inheritdoc IStakePools
    function release(address pool, uint256 amount) external onlyWorkerBonds {
        uint256 left = _takeReserve(_poolAt(pool), pool, amount);
        emit Released(pool, amount, left);
    }

    /// @inheritdoc IStakePools
    function seize(
        address pool,
        uint256 amount,
        address holder
    ) external onlyWorkerBonds returns (uint256 seizureId, uint256 moved) {
        Pool storage p = _poolAt(pool);
        _accrue(p);
        _takeReserve(p, pool, amount);
        Seizure memory seizure;
        seizure.pool = pool;
        seizure.holder = holder;
        seizure.state = SeizureState.Open;
        uint256 left = amount;
        seizure.ownStaked = _burnOwn(p, pool, left);
        left -= seizure.ownStaked;
        seizure.ownLeaving = _lower(p.lanes[OWN].ledger, left);
        left -= seizure.ownLeaving;
        (uint256 staked, uint256 leaving) = (p.staked.assets, p.lanes[BACKERS].ledger.assets);
        left = Math.min(left, staked + leaving);
        if (left > 0) {
            seizure.staked = _lower(p.staked, Math.mulDiv(left, staked, staked + leaving));
            seizure.leaving = _lower(p.lanes[BACKERS].ledger, left - seizure.staked);
        }
        moved = uint256(seizure.ownStaked) + seizure.ownLeaving + seizure.staked + seizure.leaving;
        seizureId = _seizures.length;
        _seizures.push(seizure);
        _pause(p);
        totalHeld -= moved;
        _recordAll(p, pool);
        emit Seized(
            pool,
            seizureId,
            holder,
            seizure.ownStaked,
            seizure.ownLeaving,
            seizure.staked,
            seizure.leaving
        );
        token.safeTransfer(holder, moved);
    }

    /// @inheritdoc IStakePools
    function settle(uint256 seizureId) external {
        Seizure memory seizure = _endSeizure(seizureId, SeizureState.Settled);
        emit SeizureSettled(seizure.pool, seizureId);
    }

    /// @inheritdoc IStakePools
    function restore(uint256 seizureId) external {
        Seizure memory seizure = _endSeizure(seizureId, SeizureState.Restored);
        address pool = seizure.pool;
        Pool storage p = _pools[pool];
        _accrue(p);
        _giveBack(p, seizure);
        uint256 own = seizure.ownStaked;
        if (p.lanes[OWN].ledger.shares == 0) own += seizure.ownLeaving;
        else p.lanes[OWN].ledger.assets += seizure.ownLeaving;
        uint256 ownShares = p.staked.toSharesDown(own);
        p.staked.assets += uint128(own);
        p.staked.shares += ownShares;
        _holders[pool][pool].shares.increase(ownShares);
        uint256 amount = uint256(seizure.ownStaked) + seizure.ownLeaving + seizure.staked + seizure.leaving;
        totalHeld += amount;
        _recordAll(p, pool);
        emit SeizureRestored(pool, seizureId, ownShares);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /* GOVERNANCE */

    /// @inheritdoc IStakePools
    function setWorkerBonds(address workerBonds_) external onlyTimelock {
        if (workerBonds != address(0)) revert StakePoolsWorkerBondsSet(workerBonds);
        if (workerBonds_.code.length == 0) revert StakePoolsWithoutCode(workerBonds_);
        workerBonds = workerBonds_;
        emit WorkerBondsSet(workerBonds_);
    }

    /// @inheritdoc IStakePools
    function setOwnStakeShare(uint16 bps) external onlyTimelock {
        if (bps > MAX_OWN_STAKE_BPS) revert StakePoolsShareOutOfRange(bps, MAX_OWN_STAKE_BPS);
        ownStakeBps = bps;
        emit OwnStakeShareSet(bps);
    }

    /* VIEWS */

    /// @inheritdoc IFeeSink
    function hasPool(address operator) external view returns (bool) {
        return _pools[operator].exists && !_pools[operator].closed;
    }

    /// @inheritdoc IStakePools
    function poolOf(address pool) external view returns (PoolStatus memory status) {
        Pool storage p = _pools[pool];
        Ledger memory staked = _stakedNow(p);
        status.exists = p.exists;
        status.closed = p.closed;
        status.allowlistOn = p.allowlistOn;
        bool raised = p.nextCommissionAt != 0 && block.timestamp >= p.nextCommissionAt;
        status.commissionBps = raised ? p.nextCommissionBps : p.commissionBps;
        if (!raised) (status.nextCommissionBps, status.nextCommissionAt) = (p.nextCommissionBps, p.nextCommissionAt);
        status.openSeizures = p.openSeizures;
        status.pausedUntil = p.pausedUntil;
        status.capacity = p.capacity;
        status.reserved = p.reserved;
        status.commission = p.commission;
        // No underflow: what is due is a part of what is pending.
        status.unstreamed = p.stream.pending - (staked.assets - p.staked.assets);
        status.assets = staked.assets;
        status.shares = staked.shares;
        status.leaving = p.lanes[BACKERS].ledger.assets;
        status.ownLeaving = p.lanes[OWN].ledger.assets;
    }

    /// @inheritdoc IStakePools
    function isAllowed(address pool, address account) external view returns (bool) {
        return _isAllowed(_pools[pool], pool, account);
    }

    /// @inheritdoc IStakePools
    function sharesOf(address pool, address account) public view returns (uint256) {
        return _holders[pool][account].shares.latest();
    }

    /// @inheritdoc IStakePools
    function unitsOf(address pool, address account) external view returns (uint256) {
        return _holders[pool][account].units.latest();
    }

    /// @inheritdoc IStakePools
    function requestOf(address pool, uint256 requestId) external view returns (RedeemRequest memory) {
        return _requestAt(_pools[pool], pool, requestId);
    }

    /// @inheritdoc IStakePools
    function requestCount(address pool) external view returns (uint256) {
        return _pools[pool].requests.length;
    }

    /// @inheritdoc IStakePools
    function claimableRedeem(
        address pool,
        uint256 requestId
    ) external view returns (uint256 assets, bool claimable) {
        Pool storage p = _pools[pool];
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        assets = p.lanes[_laneOf(pool, request.owner)].ledger.toAssetsDown(request.units);
        claimable = block.timestamp >= uint256(request.requestedAt) + unbonding && !_isPaused(p)
            && p.reserved <= coverBehind(pool, requestId);
    }

    /// @inheritdoc IStakePools
    function convertToShares(address pool, uint256 assets) external view returns (uint256) {
        return _stakedNow(_pools[pool]).toSharesDown(assets);
    }

    /// @inheritdoc IStakePools
    function convertToAssets(address pool, uint256 shares) external view returns (uint256) {
        return _stakedNow(_pools[pool]).toAssetsDown(shares);
    }

    /// @inheritdoc IStakePools
    function seizureOf(uint256 seizureId) external view returns (Seizure memory) {
        return _seizures[seizureId];
    }

    /// @inheritdoc IStakePools
    function isPaused(address pool) external view returns (bool) {
        return _isPaused(_pools[pool]);
    }

    /// @inheritdoc IStakePools
    function canReserve(address pool, uint256 amount) external view returns (bool) {
        Pool storage p = _pools[pool];
        Ledger memory staked = _stakedNow(p);
        uint256 needed = p.reserved + amount;
        return p.exists && !p.closed && needed <= staked.assets && _ownStaked(pool, staked) >= _ownStakeFor(needed);
    }

    /// @inheritdoc IStakePools
    function coverOf(address pool) external view returns (uint256) {
        Pool storage p = _pools[pool];
        if (p.closed) return 0;
        Ledger memory staked = _stakedNow(p);
        uint256 left = Math.saturatingSub(
            _totalOf(p, staked), p.lanes[BACKERS].servedAssets() + p.lanes[OWN].servedAssets()
        );
        return Math.min(left + ROUNDING, _bondsFor(_ownStake(p, pool, staked) + ROUNDING));
    }

    /// @inheritdoc IStakePools
    function coverBehind(address pool, uint256 requestId) public view returns (uint256) {
        Pool storage p = _pools[pool];
        RedeemRequest memory request = _requestAt(p, pool, requestId);
        Ledger memory staked = _stakedNow(p);
        uint256 lane = _laneOf(pool, request.owner);
        if (request.turn <= p.lanes[lane].served) return type(uint256).max;
        uint256 total = _totalOf(p, staked);
        if (lane == BACKERS) {
            uint256 needed = p.lanes[BACKERS].assetsUpTo(request.turn) + p.lanes[OWN].servedAssets() + ROUNDING;
            return Math.saturatingSub(total, needed);
        }
        uint256 own = p.lanes[OWN].assetsUpTo(request.turn) + ROUNDING;
        uint256 ownLeft = Math.saturatingSub(_ownStaked(pool, staked) + p.lanes[OWN].ledger.assets, own);
        return Math.min(Math.saturatingSub(total, p.lanes[BACKERS].ledger.assets + own), _bondsFor(ownLeft));
    }

    /* HISTORIES */

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

    /* CHECKS */

    function _checkDuration(uint32 duration) private pure {
        if (duration < MIN_DURATION || duration > MAX_DURATION) {
            revert StakePoolsDurationOutOfRange(duration, MIN_DURATION, MAX_DURATION);
        }
    }

    function _checkCommission(uint256 bps, uint256 maximum) private pure {
        if (bps > maximum) revert StakePoolsCommissionTooHigh(bps, maximum);
    }

    function _poolAt(address operator) private view returns (Pool storage pool) {
        pool = _pools[operator];
        if (!pool.exists) revert StakePoolsPoolUnknown(operator);
    }

    function _openPoolAt(address operator) private view returns (Pool storage pool) {
        pool = _poolAt(operator);
        if (pool.closed) revert StakePoolsClosed(operator);
    }

    function _requestAt(
        Pool storage p,
        address pool,
        uint256 requestId
    ) private view returns (RedeemRequest memory request) {
        if (requestId < p.requests.length) request = p.requests[requestId];
        if (request.owner == address(0)) revert StakePoolsRequestUnknown(pool, requestId);
    }

    function _checkNoSeizure(Pool storage p, address pool) private view {
        if (p.openSeizures != 0) revert StakePoolsSeizureOpen(pool, p.openSeizures);
    }

    function _checkNotPaused(Pool storage p, address pool) private view {
        if (_isPaused(p)) revert StakePoolsPaused(pool, p.pausedUntil);
    }

    function _isPaused(Pool storage p) private view returns (bool) {
        return p.openSeizures != 0 && block.timestamp < p.pausedUntil;
    }

    function _checkReceiver(Pool storage p, address pool, address receiver) private view {
        if (receiver == address(0)) revert StakePoolsReceiverMissing();
        if (!_isAllowed(p, pool, receiver)) revert StakePoolsNotAllowed(pool, receiver);
    }

    function _isAllowed(Pool storage p, address pool, address account) private view returns (bool) {
        return !p.allowlistOn || account == pool || _allowed[pool][account];
    }

    function _past(uint256 timepoint) private view returns (uint48) {
        if (timepoint >= block.timestamp) revert StakePoolsFutureLookup(timepoint, clock());
        // No truncation: below the present time.
        return uint48(timepoint);
    }

    /* ARITHMETIC */

    function _laneOf(address pool, address account) private pure returns (uint256) {
        return account == pool ? OWN : BACKERS;
    }

    /// @dev Staked and leaving.
    function _totalOf(Pool storage p, Ledger memory staked) private view returns (uint256) {
        return uint256(staked.assets) + p.lanes[BACKERS].ledger.assets + p.lanes[OWN].ledger.assets;
    }

    /// @dev Rounded down.
    function _ownStaked(address pool, Ledger memory staked) private view returns (uint256) {
        return staked.toAssetsDown(sharesOf(pool, pool));
    }

    /// @dev What the operator has at stake that it can't claim, rounded down.
    function _ownStake(Pool storage p, address pool, Ledger memory staked) private view returns (uint256) {
        return Math.saturatingSub(
            _ownStaked(pool, staked) + p.lanes[OWN].ledger.assets, p.lanes[OWN].servedAssets()
        );
    }

    /// @dev What the operator must have at stake for so many bonds, rounded up.
    function _ownStakeFor(uint256 bonds) private view returns (uint256) {
        return Math.ceilDiv(bonds * ownStakeBps, BPS);
    }

    /// @dev The bonds that so much of the operator's own suffices for, rounded down.
    function _bondsFor(uint256 own) private view returns (uint256) {
        return ownStakeBps == 0 ? type(uint256).max : own * BPS / ownStakeBps;
    }

    function _earns(Pool storage p) private view returns (bool) {
        return p.staked.assets >= MIN_EARNING_STAKE;
    }

    function _dueNow(Pool storage p) private view returns (uint256) {
        return _earns(p) ? p.stream.due() : 0;
    }

    /// @dev With what has flowed in and is not written yet.
    function _stakedNow(Pool storage p) private view returns (Ledger memory staked) {
        staked = p.staked;
        // No truncation: parts of PHA of this contract.
        staked.assets += uint128(_dueNow(p));
    }

    /* STATE */

    function _deposit(address pool, uint256 assets, address receiver) private returns (uint256 shares) {
        Pool storage p = _openPoolAt(pool);
        _checkNoSeizure(p, pool);
        _checkReceiver(p, pool, receiver);
        if (assets < MIN_DEPOSIT) revert StakePoolsDepositTooSmall(assets, MIN_DEPOSIT);
        _accrue(p);
        uint256 after_ = p.staked.assets + assets;
        if (after_ > p.capacity) revert StakePoolsCapacityExceeded(pool, after_, p.capacity);
        shares = p.staked.toSharesDown(assets);
        if (shares == 0) revert StakePoolsZeroAmount();
        // No truncation: at most the capacity.
        p.staked.assets = uint128(after_);
        p.staked.shares += shares;
        _holders[pool][receiver].shares.increase(shares);
        totalHeld += assets;
        _record(p, pool);
        emit Deposited(pool, msg.sender, receiver, assets, shares);
        token.safeTransferFrom(msg.sender, address(this), assets);
    }

    function _takeShares(address pool, address account, uint256 shares) private {
        if (shares == 0) revert StakePoolsZeroAmount();
        uint256 has = sharesOf(pool, account);
        if (has < shares) revert StakePoolsTooFewShares(pool, account, has, shares);
        _holders[pool][account].shares.decrease(shares);
    }

    function _takeUpCommission(Pool storage p) private {
        if (p.nextCommissionAt == 0 || block.timestamp < p.nextCommissionAt) return;
        p.commissionBps = p.nextCommissionBps;
        p.nextCommissionBps = 0;
        p.nextCommissionAt = 0;
    }

    function _accrue(Pool storage p) private {
        if (!_earns(p)) return p.stream.hold();
        uint256 flowed = p.stream.due();
        p.stream.advance(flowed);
        // No truncation: parts of PHA of this contract.
        p.staked.assets += uint128(flowed);
    }

    /// @dev First the backers' lane; the operator's only once nobody waits there.
    function _serve(Pool storage p, address pool) private {
        Lane storage backers = p.lanes[BACKERS];
        Lane storage own = p.lanes[OWN];
        uint256 reserved = p.reserved;
        if (reserved == 0) {
            // Nothing else needs the stake, so no rounding may keep the last unit.
            (backers.served, own.served) = (backers.requested, own.requested);
        } else {
            Ledger memory staked = p.staked;
            uint256 free = Math.saturatingSub(
                _totalOf(p, staked), backers.servedAssets() + own.servedAssets() + reserved
            );
            // Nothing is left for the operator while anybody else waits.
            free -= backers.serve(free);
            if (own.waitingUnits() != 0) {
                uint256 ownFree = Math.saturatingSub(_ownStake(p, pool, staked), _ownStakeFor(reserved));
                own.serve(Math.min(free, ownFree));
            }
        }
        emit Served(pool, backers.served, own.served);
    }

    function _takeReserve(Pool storage p, address pool, uint256 amount) private returns (uint256 left) {
        if (amount > p.reserved) revert StakePoolsTooLittleReserved(pool, p.reserved, amount);
        left = p.reserved - amount;
        p.reserved = uint128(left);
    }

    /// @dev Takes the worth of the operator's shares, up to a limit, and burns what that took: rounded up, so that no
    /// other share is worth less by it.
    function _burnOwn(Pool storage p, address pool, uint256 limit) private returns (uint128 taken) {
        uint256 has = sharesOf(pool, pool);
        Ledger memory staked = p.staked;
        uint256 worth = staked.toAssetsDown(has);
        uint256 burnt = has;
        if (limit < worth) burnt = Math.min(has, staked.toSharesUp(limit));
        // No truncation: at most staked.assets.
        taken = uint128(Math.min(limit, worth));
        p.staked.assets -= taken;
        p.staked.shares -= burnt;
        _holders[pool][pool].shares.decrease(burnt);
    }

    /// @dev Takes assets of a ledger's holders, up to a limit.
    function _lower(Ledger storage ledger, uint256 limit) private returns (uint128 taken) {
        // No truncation: at most ledger.assets.
        taken = uint128(Math.min(limit, ledger.assets));
        ledger.assets -= taken;
    }

    function _pause(Pool storage p) private {
        ++p.openSeizures;
        if (block.timestamp >= p.pausedUntil + PAUSE_GAP) p.pausedUntil = uint40(block.timestamp + maxPause);
    }

    function _endSeizure(uint256 seizureId, SeizureState state) private returns (Seizure memory seizure) {
        seizure = _seizures[seizureId];
        if (msg.sender != seizure.holder) revert StakePoolsCallerNotHolder(msg.sender, seizure.holder);
        if (seizure.state != SeizureState.Open) revert StakePoolsSeizureNotOpen(seizureId, seizure.state);
        _seizures[seizureId].state = state;
        --_pools[seizure.pool].openSeizures;
    }

    /// @dev What was taken of all alike.
    function _giveBack(Pool storage p, Seizure memory seizure) private {
        uint256 amount = uint256(seizure.staked) + seizure.leaving;
        Ledger storage leaving = p.lanes[BACKERS].ledger;
        (uint256 stakedNow, uint256 leavingNow) = (p.staked.assets, leaving.assets);
        uint256 toStaked = p.closed || stakedNow + leavingNow == 0
            ? seizure.staked
            : Math.mulDiv(amount, stakedNow, stakedNow + leavingNow);
        if (p.staked.shares == 0) toStaked = 0;
        // No truncation: parts of the seizure's 128 bits.
        uint256 toLeaving = amount - toStaked;
        if (leaving.shares != 0) {
            leaving.assets += uint128(toLeaving);
            toLeaving = 0;
        }
        p.staked.assets += uint128(toStaked);
        // Nobody leaves, and nobody stays: whoever comes next earns it in time.
        if (toLeaving != 0) p.stream.add(uint128(toLeaving), earningsTime);
    }

    /// @dev Writes what votes go by.
    function _record(Pool storage p, address pool) private {
        Ledger memory staked = p.staked;
        PoolHistory storage history = _histories[pool];
        history.shares.set(staked.shares);
        history.rate.set(staked.rate());
    }

    /// @dev The same after what changes the worth of leaving stake as well.
    function _recordAll(Pool storage p, address pool) private {
        _record(p, pool);
        PoolHistory storage history = _histories[pool];
        Ledger memory leaving = p.lanes[BACKERS].ledger;
        history.unitRates[BACKERS].set(leaving.rate());
        history.unitRates[OWN].set(p.lanes[OWN].ledger.rate());
        bool closed = p.staked.isWorthless() || leaving.isWorthless();
        if (closed == p.closed) return;
        p.closed = closed;
        emit PoolClosed(pool, closed);
    }
}
