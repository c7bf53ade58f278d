// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry, IWorkerRegistryTypes} from "../../src/IWorkerRegistry.sol";
import {IStakePoolsTypes} from "../../src/staking/IStakePools.sol";
import {IWorkerBondsTypes} from "../../src/staking/IWorkerBonds.sol";
import {StakePools} from "../../src/staking/StakePools.sol";
import {WorkerBonds} from "../../src/staking/WorkerBonds.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound, vm} from "./Vm.sol";

/// @notice An operator with eight workers and four backers, in random order. This contract is the timelock, the registry
/// (every worker is the operator's), the measurer and Slashing.
contract WorkerBondsFuzzTest {
    uint256 private constant BACKERS = 4;
    uint256 private constant WORKERS = 8;
    uint256 private constant STEPS = 32;
    uint32 private constant UNBONDING = 7 days;
    address private constant OPERATOR = address(0xa000);

    PhaTokenHarness private _token;
    StakePools private _pools;
    WorkerBonds private _bonds;
    uint256[] private _seizures;
    bool private _slashed;

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
        _bonds = new WorkerBonds(address(this), _pools, IWorkerRegistry(address(this)), 10e18, 100e18);
        _pools.setWorkerBonds(address(_bonds));
        _pools.setOwnStakeShare(1_000);
        _bonds.setSlashing(address(this));
        _bonds.setMeasurer(address(this));
        for (uint256 i = 0; i <= BACKERS; ++i) {
            _token.issue(_actor(i), 1_000_000e18);
            vm.prank(_actor(i));
            _token.approve(address(_pools), type(uint256).max);
        }
        vm.prank(OPERATOR);
        _pools.createPool(0, type(uint128).max, false);
    }

    /// @notice As a registry.
    function statusOf(bytes32) external pure returns (IWorkerRegistryTypes.WorkerStatus memory status) {
        status.operator = OPERATOR;
    }

    /// @notice Whatever happened before, and whatever the operator and others do meanwhile: who asks gets what its request
    /// is worth within twice the time, while nothing is slashed. Bonds add up to what is reserved all the time.
    function testFuzz_nobodyIsKept(uint256[STEPS] calldata seeds, uint256 who, uint256[12] calldata against) external {
        for (uint256 i = 0; i < STEPS; ++i) {
            _step(seeds[i] % 12, seeds[i] >> 8);
            _checkBonds();
        }
        while (_seizures.length > 0) _settle();
        uint256 index = who % (BACKERS + 1);
        uint256 shares = _pools.sharesOf(OPERATOR, _actor(index));
        if (shares == 0) return;
        vm.prank(_actor(index));
        try _pools.requestRedeem(OPERATOR, shares) returns (uint256 requestId) {
            _leave(_actor(index), requestId, against);
        } catch {
            // Only what is worth nothing can't be asked back.
            assert(_pools.convertToAssets(OPERATOR, shares) == 0);
        }
    }

    /// @dev The way out that {IStakePools} promises.
    function _leave(address owner, uint256 requestId, uint256[12] calldata against) private {
        uint256 asked = block.timestamp;
        (uint256 worth,) = _pools.claimableRedeem(OPERATOR, requestId);
        for (uint256 i = 0; i < 6; ++i) _against(against[i]);
        vm.warp(asked + UNBONDING);
        for (uint256 i = 0; i < 2 * WORKERS; ++i) {
            try _bonds.forceStop(OPERATOR, requestId) {} catch {}
        }
        for (uint256 i = 6; i < 12; ++i) _against(against[i]);
        vm.warp(asked + 2 * UNBONDING);
        for (uint256 i = 0; i < WORKERS; ++i) {
            try _bonds.release(bytes32(i + 1)) {} catch {}
        }
        vm.prank(owner);
        assert(_pools.claimRedeem(OPERATOR, requestId, owner) == worth);
        _checkBonds();
    }

    /// @dev What the operator and the other backers may try.
    function _against(uint256 seed) private {
        uint256 kinds = seed % 4;
        if (kinds == 0) _start(seed >> 8);
        else if (kinds == 1) _request(seed >> 8);
        else if (kinds == 2) _step(4, seed >> 8);
        else _step(5, seed >> 8);
    }

    function _step(uint256 kind, uint256 value) private {
        bytes32 workerId = bytes32(1 + value % WORKERS);
        if (kind <= 1) {
            vm.prank(_actor(value % (BACKERS + 1)));
            try _pools.deposit(OPERATOR, bound(value >> 8, 1e16, 2_000e18), _actor(value % (BACKERS + 1))) {} catch {}
        } else if (kind <= 3) {
            _start(value);
        } else if (kind == 4) {
            _bonds.setMeasured(workerId, uint128(bound(value >> 8, 0, 10_000)));
            try _bonds.refresh(workerId) {} catch {}
        } else if (kind == 5) {
            vm.prank(OPERATOR);
            try _bonds.stop(workerId) {} catch {}
        } else if (kind <= 7) {
            _request(value);
        } else if (kind == 8) {
            uint256 amount = bound(value, 1, 100e18);
            _token.issue(address(this), amount);
            _token.approve(address(_pools), amount);
            try _pools.addFees(OPERATOR, amount) {} catch {}
            vm.warp(block.timestamp + bound(value, 1, 8 days));
            try _bonds.release(workerId) {} catch {}
            _claimAll();
        } else if (kind == 9) {
            uint256 before = _bonds.bondOf(workerId);
            try _bonds.seize(workerId, bound(value >> 8, 1, 10_000)) returns (address, uint256 id, uint256 moved) {
                assert(moved <= before);
                _slashed = true;
                _seizures.push(id);
            } catch {
                assert(before == 0);
            }
        } else if (kind == 10) {
            if (_seizures.length > 0) _settle();
        } else {
            try _bonds.stopUncovered(OPERATOR) {
                // Nothing else uncovers bonds, rounding neither.
                assert(_slashed);
                (, uint128 running,) = _bonds.runningOf(OPERATOR);
                assert(running <= _pools.coverOf(OPERATOR));
            } catch {}
        }
    }

    function _start(uint256 value) private {
        bytes32 workerId = bytes32(1 + value % WORKERS);
        vm.prank(OPERATOR);
        try _bonds.start(workerId) {
            assert(_bonds.isRunning(workerId) && _bonds.bondOf(workerId) == _bonds.requiredBond(workerId));
        } catch {}
    }

    function _request(uint256 value) private {
        address actor = _actor(value % (BACKERS + 1));
        uint256 has = _pools.sharesOf(OPERATOR, actor);
        vm.prank(actor);
        try _pools.requestRedeem(OPERATOR, bound(value >> 8, 0, has)) {} catch {}
    }

    function _claimAll() private {
        uint256 count = _pools.requestCount(OPERATOR);
        for (uint256 id = 0; id < count; ++id) {
            try _pools.requestOf(OPERATOR, id) returns (IStakePoolsTypes.RedeemRequest memory request) {
                (uint256 assets, bool claimable) = _pools.claimableRedeem(OPERATOR, id);
                vm.prank(request.owner);
                try _pools.claimRedeem(OPERATOR, id, request.owner) returns (uint256 paid) {
                    assert(paid == assets);
                } catch {
                    assert(!claimable);
                }
            } catch {}
        }
    }

    function _settle() private {
        _pools.settle(_seizures[_seizures.length - 1]);
        _seizures.pop();
    }

    function _checkBonds() private view {
        uint256 reserved;
        uint256 running;
        uint256 count;
        for (uint256 i = 0; i < WORKERS; ++i) {
            IWorkerBondsTypes.BondStatus memory status = _bonds.statusOf(bytes32(i + 1));
            if (status.state == IWorkerBondsTypes.BondState.Running) {
                running += status.bond;
                ++count;
            }
            reserved += status.bond;
        }
        (uint256 counted, uint128 bonds, bytes32 worker) = _bonds.runningOf(OPERATOR);
        assert(bonds == running && counted == count);
        // What could be released is reserved still.
        assert(_pools.poolOf(OPERATOR).reserved >= reserved);
        for (uint256 i = 0; i < count; ++i) worker = _bonds.statusOf(worker).older;
        assert(worker == 0);
    }

    function _actor(uint256 index) private pure returns (address) {
        // The first is the operator.
        return address(uint160(uint160(OPERATOR) + index));
    }
}
