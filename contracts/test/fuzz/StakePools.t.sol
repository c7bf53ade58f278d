// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStakePools, IStakePoolsTypes} from "../../src/staking/IStakePools.sol";
import {StakePools} from "../../src/staking/StakePools.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {UnsafeBondsHarness} from "../harness/UnsafeBondsHarness.sol";
import {bound, vm} from "./Vm.sol";

/// @notice Six stakers, the operator among them, and somebody who pays earnings, in random order. This contract is the
/// timelock.
contract StakePoolsFuzzTest {
    uint256 private constant ACTORS = 6;
    uint256 private constant STEPS = 40;
    uint32 private constant UNBONDING = 7 days;
    address private constant OPERATOR = address(0xa000);
    address private constant PAYER = address(0xbeef);
    uint256 private constant RICH = 1_000_000e18;

    PhaTokenHarness private _token;
    StakePools private _pools;
    UnsafeBondsHarness private _bonds;
    uint256 private _reserved;
    uint256 private _surplus;

    struct Seen {
        uint256 requestId;
        address owner;
        uint256 worthAtRequest;
    }

    Seen[] private _requests;
    uint256[] private _openSeizures;

    function setUp() external {
        vm.warp(1_800_000_000);
        _token = new PhaTokenHarness(new address[](0), new uint256[](0));
        _pools = new StakePools(
            IStakePoolsTypes.StakePoolsSettings({
                timelock: address(this),
                token: _token,
                earningsTime: 1 hours,
                unbonding: UNBONDING,
                maxPause: 10 days
            })
        );
        _bonds = new UnsafeBondsHarness(_pools);
        _pools.setWorkerBonds(address(_bonds));
        _pools.setOwnStakeShare(1_000);
        for (uint256 i = 0; i < ACTORS; ++i) _fund(_actor(i));
        _fund(PAYER);
        vm.prank(OPERATOR);
        _pools.createPool(500, type(uint128).max, false);
    }

    /// @notice Whatever happens in whatever order: every unit is owed to somebody and is there; no share and no unit of
    /// leaving stake loses worth but by a slash; a request pays no more than it was worth when asked; bonds are covered;
    /// votes are shares times rates; and in the end everybody leaves with all that is theirs.
    function testFuzz_anyOrder(uint256[STEPS] calldata seeds) external {
        for (uint256 i = 0; i < STEPS; ++i) {
            uint256 seed = seeds[i];
            uint256 kind = seed % 16;
            bool slashes = kind >= 13;
            uint256 worth = _pools.convertToAssets(OPERATOR, 1e24);
            uint256 requestId = _requests.length == 0 ? 0 : _requests[seed % _requests.length].requestId;
            (, uint256 leaving) = _worthOfRequest(requestId);
            _step(kind, seed >> 8);
            // What rounding leaves stays in the pool, so worth does not fall; the last digit of what is shown of it may.
            assert(slashes || _pools.convertToAssets(OPERATOR, 1e24) + 1 >= worth);
            (bool waits, uint256 leavingAfter) = _worthOfRequest(requestId);
            assert(slashes || !waits || leavingAfter + 1 >= leaving);
            _checkBooks();
        }
        _checkVotes();
        _everybodyLeaves();
    }

    /// @notice Requests that can be claimed pay the same in whatever order they are.
    function testFuzz_orderOfClaims(uint96[4] calldata stakes, uint96[4] calldata parts, uint256 order, uint96 slashed)
        external
    {
        uint256[4] memory ids;
        uint256 total;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 amount = bound(stakes[i], 1e16, RICH);
            total += amount;
            vm.prank(_actor(i));
            uint256 shares = _pools.deposit(OPERATOR, amount, _actor(i));
            vm.prank(_actor(i));
            ids[i] = _pools.requestRedeem(OPERATOR, bound(parts[i], 1e12, shares));
        }
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        _pools.setOwnStakeShare(0);
        uint256 taken = bound(slashed, 0, status.assets);
        _bonds.reserve(OPERATOR, taken);
        (uint256 seizureId,) = _bonds.seize(OPERATOR, taken);
        _bonds.settle(seizureId);
        vm.warp(block.timestamp + UNBONDING);
        uint256[4] memory expected;
        for (uint256 i = 0; i < 4; ++i) (expected[i],) = _pools.claimableRedeem(OPERATOR, ids[i]);
        uint256 left = 4;
        while (left > 0) {
            uint256 place = order % left;
            order /= left;
            --left;
            uint256 who = _indexOf(ids, place);
            vm.prank(_actor(who));
            uint256 paid = _pools.claimRedeem(OPERATOR, ids[who], PAYER);
            ids[who] = type(uint256).max;
            // What rounding leaves of those before may fall to one behind, never more than a unit of each.
            assert(paid >= expected[who] && paid <= expected[who] + 4);
        }
        _checkBooks();
    }

    /// @notice A slash of any size, then taken back: nobody loses or gains more than the last digits.
    function testFuzz_restored(uint96[4] calldata stakes, uint96[4] calldata parts, uint96 slashed, uint96 between)
        external
    {
        uint256[4] memory worth;
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(_actor(i));
            uint256 shares = _pools.deposit(OPERATOR, bound(stakes[i], 1e16, RICH), _actor(i));
            vm.prank(_actor(i));
            _pools.requestRedeem(OPERATOR, bound(parts[i], 1e6, shares));
        }
        for (uint256 i = 0; i < 4; ++i) worth[i] = _worthOf(_actor(i));
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        _pools.setOwnStakeShare(0);
        // Not the last gwei of anything: what is left must still divide.
        uint256 taken = bound(slashed, 0, status.assets);
        _bonds.reserve(OPERATOR, taken);
        (uint256 seizureId, uint256 moved) = _bonds.seize(OPERATOR, taken);
        assert(moved == taken);
        uint256 asks = _pools.sharesOf(OPERATOR, _actor(1));
        if (asks > 0) {
            vm.prank(_actor(1));
            try _pools.requestRedeem(OPERATOR, bound(between, 0, asks)) {} catch {}
        }
        _bonds.restore(seizureId);
        for (uint256 i = 0; i < 4; ++i) {
            uint256 now_ = _worthOf(_actor(i));
            uint256 difference = now_ > worth[i] ? now_ - worth[i] : worth[i] - now_;
            assert(difference <= worth[i] / 1e6 + 1e9);
        }
        _checkBooks();
    }

    /// @notice Who pays earnings in to move the price never takes from who stakes next more than a millionth of a share's
    /// price times what it costs; here: nothing that counts.
    function testFuzz_inflation(uint96 first, uint96 given, uint96 kept, uint96 next) external {
        uint256 shares = _deposit(0, bound(first, 1e16, RICH));
        vm.prank(PAYER);
        _pools.addFees(OPERATOR, bound(given, 1, RICH));
        vm.warp(block.timestamp + 1 hours);
        uint256 asked = shares - bound(kept, 0, shares / 2);
        vm.prank(_actor(0));
        try _pools.requestRedeem(OPERATOR, asked) {} catch {}
        uint256 assets = bound(next, 1e16, RICH);
        uint256 got = _deposit(1, assets);
        uint256 worth = _pools.convertToAssets(OPERATOR, got);
        assert(worth <= assets && assets - worth <= assets / 1e6 + 1e9);
    }

    /* STEPS */

    function _step(uint256 kind, uint256 seed) private {
        address actor = _actor(seed % ACTORS);
        uint256 value = seed >> 8;
        if (kind <= 3) {
            vm.prank(actor);
            try _pools.deposit(OPERATOR, bound(value, 1e16, 10_000e18), _actor(value % ACTORS)) {} catch {}
        } else if (kind <= 5) {
            _request(actor, value);
        } else if (kind == 6) {
            _claimAny(value);
        } else if (kind == 7) {
            uint256 has = _pools.sharesOf(OPERATOR, actor);
            vm.prank(actor);
            try _pools.transferShares(OPERATOR, _actor(value % ACTORS), bound(value, 0, has)) {} catch {}
        } else if (kind == 8) {
            vm.prank(PAYER);
            try _pools.addFees(OPERATOR, bound(value, 1, 1_000e18)) {} catch {}
        } else if (kind == 9) {
            vm.warp(block.timestamp + bound(value, 1, 3 days));
        } else if (kind == 10) {
            _reserve(value);
        } else if (kind == 11) {
            uint256 amount = bound(value, 0, _reserved);
            _bonds.release(OPERATOR, amount);
            _reserved -= amount;
        } else if (kind == 12) {
            _pay(value);
        } else if (kind == 13) {
            _seize(value);
        } else {
            _end(value, kind == 14);
        }
    }

    function _request(address actor, uint256 value) private {
        uint256 has = _pools.sharesOf(OPERATOR, actor);
        if (has == 0) return;
        uint256 shares = bound(value, 1, has);
        uint256 worth = _pools.convertToAssets(OPERATOR, shares);
        vm.prank(actor);
        try _pools.requestRedeem(OPERATOR, shares) returns (uint256 requestId) {
            (uint256 assets,) = _pools.claimableRedeem(OPERATOR, requestId);
            assert(assets <= worth && assets + 1 + worth / 1e12 >= worth);
            _requests.push(Seen(requestId, actor, worth));
        } catch {}
    }

    /// @dev Outside payments by the wrong door: surplus, nobody's.
    function _pay(uint256 value) private {
        uint256 amount = bound(value, 0, 1e18);
        vm.prank(PAYER);
        _token.transfer(address(_pools), amount);
        _surplus += amount;
        if (value % 2 == 0) _pools.accrue(OPERATOR);
        else _pools.serve(OPERATOR);
    }

    function _reserve(uint256 value) private {
        uint256 amount = bound(value, 0, 20_000e18);
        bool can = _pools.canReserve(OPERATOR, amount);
        try _bonds.reserve(OPERATOR, amount) {
            assert(can);
            _reserved += amount;
            IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
            assert(_reserved <= status.assets);
        } catch {
            assert(!can);
        }
    }

    function _claimAny(uint256 value) private {
        if (_requests.length == 0) return;
        uint256 place = value % _requests.length;
        Seen memory seen = _requests[place];
        (uint256 expected,) = _pools.claimableRedeem(OPERATOR, seen.requestId);
        vm.prank(seen.owner);
        try _pools.claimRedeem(OPERATOR, seen.requestId, seen.owner) returns (uint256 paid) {
            assert(paid == expected);
            // A restored slash may give back in other units' last digits.
            assert(paid <= seen.worthAtRequest + seen.worthAtRequest / 1e6 + 1e9 || _restored);
            _requests[place] = _requests[_requests.length - 1];
            _requests.pop();
            _checkCover();
        } catch {}
    }

    bool private _restored;

    function _seize(uint256 value) private {
        uint256 amount = bound(value, 0, _reserved);
        if (amount == 0) return;
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        uint256 there = uint256(status.assets) + status.leaving + status.ownLeaving;
        uint256 own = _pools.convertToAssets(OPERATOR, _pools.sharesOf(OPERATOR, OPERATOR)) + status.ownLeaving;
        uint256 worth = _pools.convertToAssets(OPERATOR, 1e24);
        uint256 before = _token.balanceOf(address(_bonds));
        (uint256 seizureId, uint256 moved) = _bonds.seize(OPERATOR, amount);
        assert(moved == (amount < there ? amount : there));
        assert(_token.balanceOf(address(_bonds)) - before == moved);
        // The operator's own goes first: nobody else loses while it suffices.
        assert(amount > own || _pools.convertToAssets(OPERATOR, 1e24) + 1 >= worth);
        _reserved -= amount;
        _openSeizures.push(seizureId);
    }

    function _end(uint256 value, bool restores) private {
        if (_openSeizures.length == 0) return;
        uint256 place = value % _openSeizures.length;
        if (restores) {
            _bonds.restore(_openSeizures[place]);
            _restored = true;
        } else {
            _bonds.settle(_openSeizures[place]);
        }
        _openSeizures[place] = _openSeizures[_openSeizures.length - 1];
        _openSeizures.pop();
    }

    /* CHECKS */

    function _checkBooks() private view {
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        uint256 owed =
            uint256(status.assets) + status.leaving + status.ownLeaving + status.unstreamed + status.commission;
        assert(owed == _pools.totalHeld());
        assert(_token.balanceOf(address(_pools)) == owed + _surplus);
        assert(status.reserved == _reserved);
        uint256 shares;
        uint256 worth;
        for (uint256 i = 0; i < ACTORS; ++i) {
            uint256 has = _pools.sharesOf(OPERATOR, _actor(i));
            shares += has;
            worth += _pools.convertToAssets(OPERATOR, has);
        }
        assert(shares == status.shares && worth <= status.assets);
    }

    /// @dev After a claim bonds are covered, as far as slashes left anything; a unit for rounding.
    function _checkCover() private view {
        if (_pools.poolOf(OPERATOR).closed || _slashed()) return;
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        assert(uint256(status.assets) + status.leaving + status.ownLeaving + 2 >= _reserved);
    }

    function _slashed() private view returns (bool) {
        return _token.balanceOf(address(_bonds)) > 0;
    }

    function _checkVotes() private {
        _pools.accrue(OPERATOR);
        uint256 snapshot = block.timestamp;
        uint256[ACTORS] memory worth;
        uint256[ACTORS] memory shares;
        for (uint256 i = 0; i < ACTORS; ++i) {
            worth[i] = _worthOf(_actor(i));
            shares[i] = _pools.sharesOf(OPERATOR, _actor(i));
        }
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        vm.warp(block.timestamp + 1 days);
        uint256 all;
        for (uint256 i = 0; i < ACTORS; ++i) {
            address actor = _actor(i);
            uint256 votes = _pools.getPastVotes(actor, OPERATOR, snapshot);
            assert(_pools.getPastShares(actor, OPERATOR, snapshot) == shares[i]);
            // A rate has 18 digits.
            uint256 slack = worth[i] / 1e9 + 1e9;
            assert(votes <= worth[i] + slack && votes + slack >= worth[i]);
            all += votes;
        }
        assert(_pools.getPastTotalShares(OPERATOR, snapshot) == status.shares);
        uint256 staked = uint256(status.assets) + status.leaving + status.ownLeaving;
        assert(all <= staked + staked / 1e9 + 1e9);
    }

    /// @dev Seizures end, workers stop, everybody asks for all, waits and is paid; what is left is nobody's last digits.
    function _everybodyLeaves() private {
        while (_openSeizures.length > 0) _end(0, false);
        for (uint256 i = 0; i < ACTORS; ++i) {
            uint256 has = _pools.sharesOf(OPERATOR, _actor(i));
            if (has > 0) _request(_actor(i), has - 1);
        }
        vm.warp(block.timestamp + UNBONDING);
        _bonds.release(OPERATOR, _reserved);
        _reserved = 0;
        for (uint256 i = 0; i < _requests.length; ++i) {
            Seen memory seen = _requests[i];
            vm.prank(seen.owner);
            _pools.claimRedeem(OPERATOR, seen.requestId, seen.owner);
        }
        vm.prank(OPERATOR);
        try _pools.collectCommission(OPERATOR) {} catch {}
        _checkBooks();
        IStakePoolsTypes.PoolStatus memory status = _pools.poolOf(OPERATOR);
        assert(status.commission == 0);
        for (uint256 i = 0; i < ACTORS; ++i) assert(_pools.unitsOf(OPERATOR, _actor(i)) == 0);
    }

    /* HELPERS */

    function _worthOfRequest(uint256 requestId) private view returns (bool waits, uint256 assets) {
        try _pools.claimableRedeem(OPERATOR, requestId) returns (uint256 assets_, bool) {
            return (true, assets_);
        } catch {}
    }

    function _worthOf(address actor) private view returns (uint256 worth) {
        worth = _pools.convertToAssets(OPERATOR, _pools.sharesOf(OPERATOR, actor));
        uint256 count = _pools.requestCount(OPERATOR);
        for (uint256 id = 0; id < count; ++id) {
            try _pools.requestOf(OPERATOR, id) returns (IStakePoolsTypes.RedeemRequest memory request) {
                if (request.owner != actor) continue;
                (uint256 assets,) = _pools.claimableRedeem(OPERATOR, id);
                worth += assets;
            } catch {}
        }
    }

    function _deposit(uint256 index, uint256 assets) private returns (uint256) {
        vm.prank(_actor(index));
        return _pools.deposit(OPERATOR, assets, _actor(index));
    }

    function _fund(address account) private {
        _token.issue(account, 50 * RICH);
        vm.prank(account);
        _token.approve(address(_pools), type(uint256).max);
    }

    function _actor(uint256 index) private pure returns (address) {
        // The first is the operator.
        return address(uint160(uint160(OPERATOR) + index));
    }

    /// @dev The one at a place among those that are left.
    function _indexOf(uint256[4] memory ids, uint256 place) private pure returns (uint256) {
        for (uint256 i = 0; i < 4; ++i) {
            if (ids[i] == type(uint256).max) continue;
            if (place == 0) return i;
            --place;
        }
        revert("unreachable");
    }
}
