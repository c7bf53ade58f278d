// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Emission} from "../../src/emission/Emission.sol";
import {EmittedPha} from "../../src/emission/EmittedPha.sol";
import {EpochRewards} from "../../src/emission/EpochRewards.sol";
import {IEpochRewardsTypes} from "../../src/emission/IEpochRewards.sol";
import {EpochRecord} from "../../src/governance/EpochRecordLib.sol";
import {IEpochRecords} from "../../src/governance/IEpochRecords.sol";
import {EmissionDeployer} from "../harness/EmissionDeployer.sol";
import {UnsafeFeeSink} from "../harness/UnsafeFeeSink.sol";
import {VectorHarness} from "../harness/VectorHarness.sol";
import {bound, vm} from "./Vm.sol";

/// @notice Four epochs with three rewards each, one of them a pool's, opened, claimed, blocked, burnt and collected in
/// random order while the pools fail now and then. This contract is the timelock and the records.
contract EpochRewardsFuzzTest {
    uint256 private constant EPOCHS = 4;
    uint256 private constant OPERATORS = 3;
    uint64 public constant genesis = 1_800_000_000;
    uint32 public constant epochLength = 1 hours;
    address private constant GUARDIAN = address(0x9a);

    EmittedPha private _token;
    Emission private _emission;
    EpochRewards private _rewards;
    UnsafeFeeSink private _sink;
    VectorHarness private _vectors;
    mapping(uint64 epoch => bytes32) public digestOf;

    /// @dev Counted beside the contract.
    struct Seen {
        bool recorded;
        bool opened;
        bool forfeited;
        bool blocked;
        bool voided;
        uint256 claimableAt;
        uint256 award;
        uint256 paid;
    }

    Seen[EPOCHS] private _seen;
    uint256[OPERATORS][EPOCHS] private _amounts;
    bool[OPERATORS][EPOCHS] private _claimed;
    uint256[OPERATORS] private _owed;
    uint256[OPERATORS] private _paid;
    uint256 private _minted;
    uint256 private _burnt;
    UnsafeFeeSink.Failure private _failure;

    function setUp() external {
        vm.warp(uint256(genesis) + 10 * uint256(epochLength));
        EmissionDeployer deployer = new EmissionDeployer(address(this), IEpochRecords(address(this)));
        (_token, _emission) = (deployer.token(), deployer.emission());
        _rewards = new EpochRewards(address(this), _emission);
        _sink = new UnsafeFeeSink(_token, _operator(0));
        _vectors = new VectorHarness();
        _emission.setRewards(address(_rewards));
        _rewards.setFeeSink(_sink);
        _rewards.setGuardian(GUARDIAN);
    }

    function recordDigest(EpochRecord calldata record) external pure returns (bytes32) {
        return keccak256(abi.encode(record));
    }

    /// @notice To the unit, all the time: what was minted is what is in pots, owed, paid or burnt; each epoch pays out of its
    /// own pot, once to each, not before its time, nothing while it is blocked, and nothing without a record.
    function testFuzz_anyOrder(uint256[48] calldata seeds) external {
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 kind = seeds[i] % 14;
            uint256 value = seeds[i] >> 8;
            if (kind == 0) _record(value % EPOCHS, value >> 8);
            else if (kind <= 2) _open(value % EPOCHS);
            else if (kind <= 6) _claim(value % EPOCHS, (value >> 8) % OPERATORS, value >> 16);
            else if (kind == 7) _block(value % EPOCHS, (value >> 8) % 3);
            else if (kind == 8) _liftOrVoid(value % EPOCHS, (value >> 8) % 2 == 0);
            else if (kind == 9) _collect(value % OPERATORS);
            else if (kind >= 12) _claimMany(value % EPOCHS, value >> 8);
            else if (kind == 10) vm.warp(block.timestamp + bound(value, 1, epochLength));
            else _fail(value);
            _checkBooks();
        }
    }

    /* STEPS */

    function _record(uint256 epoch, uint256 value) private {
        Seen storage seen = _seen[epoch];
        if (seen.recorded) return;
        seen.recorded = true;
        for (uint256 i = 0; i < OPERATORS; ++i) _amounts[epoch][i] = bound(value >> (40 * i), 1, 1_000e18);
        uint256 sum = _amounts[epoch][0] + _amounts[epoch][1] + _amounts[epoch][2];
        // Most say what their leaves add up to; some less than that, some more than there is.
        uint256 kind = (value >> 160) % 4;
        seen.award = kind == 0 ? sum - 1 : kind == 1 ? 2 * 30_000e18 + 1 : sum;
        digestOf[uint64(epoch)] = keccak256(abi.encode(_recordOf(epoch)));
    }

    function _open(uint256 epoch) private {
        Seen storage seen = _seen[epoch];
        EpochRecord memory record = _recordOf(epoch);
        (bool went,) = address(_rewards).call(abi.encodeCall(EpochRewards.open, (record)));
        assert(went == (seen.recorded && !seen.opened));
        record.rewards += 1;
        (bool forged,) = address(_rewards).call(abi.encodeCall(EpochRewards.open, (record)));
        assert(!forged);
        if (!went) return;
        seen.opened = true;
        seen.claimableAt = block.timestamp + epochLength;
        seen.forfeited = seen.award > 60_000e18;
        if (!seen.forfeited) _minted += seen.award;
    }

    /// @dev By anyone, for whom the leaf names; or of another amount, operator or epoch, which never pays.
    function _claim(uint256 epoch, uint256 operator, uint256 value) private {
        Seen storage seen = _seen[epoch];
        uint256 amount = _amounts[epoch][operator];
        bytes32[] memory proof = _proofOf(epoch, operator);
        vm.prank(address(uint160(value)));
        bool should = seen.opened && !seen.forfeited && !seen.blocked && block.timestamp >= seen.claimableAt
            && !_claimed[epoch][operator] && amount <= _left(epoch);
        bool went = _try(epoch, _operator(operator), amount, proof);
        assert(went == should);
        if (went) {
            _claimed[epoch][operator] = true;
            seen.paid += amount;
            if (_takes(operator)) _paid[operator] += amount;
            else _owed[operator] += amount;
        }
        assert(!_try(epoch, _operator(operator), amount, proof));
        assert(!_try(epoch, _operator(operator), amount + 1, proof));
        assert(!_try(epoch, _operator(OPERATORS), amount, proof));
        assert(!_try(EPOCHS, _operator(operator), amount, proof));
    }

    /// @dev Up to five at once, of random pools and some of them forged: each pays as if it had been claimed alone.
    function _claimMany(uint256 epoch, uint256 value) private {
        Seen storage seen = _seen[epoch];
        IEpochRewardsTypes.Reward[] memory rewards = new IEpochRewardsTypes.Reward[](1 + value % 5);
        bool isClaimable = seen.opened && !seen.forfeited && !seen.blocked && block.timestamp >= seen.claimableAt;
        uint256 should;
        for (uint256 i = 0; i < rewards.length; ++i) {
            uint256 operator = (value >> (16 * i + 8)) % OPERATORS;
            bool forged = (value >> (16 * i + 16)) % 4 == 0;
            uint256 amount = _amounts[epoch][operator];
            bytes32[] memory proof = _proofOf(epoch, operator);
            rewards[i] = IEpochRewardsTypes.Reward(_operator(operator), forged ? amount + 1 : amount, proof);
            if (!isClaimable || forged || _claimed[epoch][operator] || amount > _left(epoch)) continue;
            _claimed[epoch][operator] = true;
            seen.paid += amount;
            if (_takes(operator)) _paid[operator] += amount;
            else _owed[operator] += amount;
            ++should;
        }
        (bool went, bytes memory answer) =
            address(_rewards).call(abi.encodeCall(EpochRewards.claimMany, (uint64(epoch), rewards)));
        assert(went == isClaimable);
        assert(!went || abi.decode(answer, (uint256)) == should);
    }

    function _block(uint256 epoch, uint256 who) private {
        Seen storage seen = _seen[epoch];
        if (who == 0) vm.prank(GUARDIAN);
        if (who == 1) vm.prank(address(0xbad));
        (bool went,) = address(_rewards).call(abi.encodeCall(EpochRewards.blockEpoch, (uint64(epoch))));
        assert(went == (who != 1 && seen.opened && !seen.blocked && block.timestamp < seen.claimableAt));
        if (went) seen.blocked = true;
    }

    function _liftOrVoid(uint256 epoch, bool lifts) private {
        Seen storage seen = _seen[epoch];
        bytes memory call_ = lifts
            ? abi.encodeCall(EpochRewards.lift, (uint64(epoch)))
            : abi.encodeCall(EpochRewards.voidEpoch, (uint64(epoch)));
        uint256 left = _left(epoch);
        (bool went,) = address(_rewards).call(call_);
        assert(went == seen.blocked);
        if (!went) return;
        if (lifts) {
            seen.blocked = false;
            return;
        }
        _burnt += left;
        seen.voided = true;
    }

    function _collect(uint256 operator) private {
        (bool went,) = address(_rewards).call(abi.encodeCall(EpochRewards.collect, (_operator(operator))));
        assert(went == (_owed[operator] > 0 && _takes(operator)));
        if (!went) return;
        _paid[operator] += _owed[operator];
        _owed[operator] = 0;
    }

    function _fail(uint256 value) private {
        _failure = UnsafeFeeSink.Failure(value % 4);
        _sink.setFailure(_failure);
    }

    /* WHAT SHOULD BE */

    function _takes(uint256 operator) private view returns (bool) {
        if (_failure == UnsafeFeeSink.Failure.Asked) return false;
        return operator != 0 || _failure == UnsafeFeeSink.Failure.None;
    }

    function _left(uint256 epoch) private view returns (uint256) {
        Seen storage seen = _seen[epoch];
        return !seen.opened || seen.forfeited || seen.voided ? 0 : seen.award - seen.paid;
    }

    function _checkBooks() private view {
        uint256 held;
        for (uint256 i = 0; i < EPOCHS; ++i) {
            assert(_rewards.potOf(uint64(i)).left == _left(i));
            held += _left(i);
        }
        uint256 paid;
        for (uint256 i = 0; i < OPERATORS; ++i) {
            assert(_rewards.owed(_operator(i)) == _owed[i]);
            held += _owed[i];
            paid += _paid[i];
            uint256 has = _token.balanceOf(_operator(i)) + _sink.feesOf(_operator(i));
            assert(has == _paid[i]);
        }
        // The one with a pool is never paid past it.
        assert(_token.balanceOf(_operator(0)) == 0 && _token.balanceOf(address(_sink)) == _paid[0]);
        assert(_token.balanceOf(address(_rewards)) == held);
        assert(_minted == held + paid + _burnt);
        assert(_token.issuedEver() == _minted && _token.totalSupply() == _minted - _burnt);
        assert(_token.allowance(address(_rewards), address(_sink)) == 0);
    }

    /* HELPERS */

    function _try(uint256 epoch, address operator, uint256 amount, bytes32[] memory proof) private returns (bool went) {
        (went,) = address(_rewards).call(abi.encodeCall(EpochRewards.claim, (uint64(epoch), operator, amount, proof)));
    }

    function _recordOf(uint256 epoch) private view returns (EpochRecord memory record) {
        record.epoch = uint64(epoch);
        record.rewards = uint128(_seen[epoch].award);
        record.rewardsRoot = _node(_node(_leaf(epoch, 0), _leaf(epoch, 1)), _leaf(epoch, 2));
    }

    function _proofOf(uint256 epoch, uint256 operator) private view returns (bytes32[] memory proof) {
        proof = new bytes32[](operator == 2 ? 1 : 2);
        if (operator == 2) {
            proof[0] = _node(_leaf(epoch, 0), _leaf(epoch, 1));
            return proof;
        }
        proof[0] = _leaf(epoch, 1 - operator);
        proof[1] = _leaf(epoch, 2);
    }

    function _leaf(uint256 epoch, uint256 operator) private view returns (bytes32) {
        return _vectors.rewardLeaf(uint64(epoch), _operator(operator), _amounts[epoch][operator]);
    }

    function _node(bytes32 one, bytes32 other) private pure returns (bytes32) {
        (bytes32 low, bytes32 high) = one < other ? (one, other) : (other, one);
        return keccak256(abi.encodePacked(bytes1(0x01), low, high));
    }

    function _operator(uint256 index) private pure returns (address) {
        return address(uint160(0xa000 + index));
    }
}
