// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Emission} from "../../src/emission/Emission.sol";
import {EmissionSchedule} from "../../src/emission/EmissionSchedule.sol";
import {EmittedPha} from "../../src/emission/EmittedPha.sol";
import {IEmissionTypes} from "../../src/emission/IEmission.sol";
import {IEpochRecords} from "../../src/governance/IEpochRecords.sol";
import {EmissionDeployer} from "../harness/EmissionDeployer.sol";
import {bound, vm} from "./Vm.sol";

/// @notice Epochs around the end of the first period, some without a record, minted in random order by split and award of
/// random size. This contract is the timelock, the records and the rewards.
contract EmissionFuzzTest {
    uint256 private constant EPOCHS = 12;
    /// @dev The first period ends in the middle of them: 180 days are 4,320 hours.
    uint64 private constant FIRST = 4_314;
    uint64 public constant genesis = 1_800_000_000;
    uint32 public constant epochLength = 1 hours;
    uint256 private constant RATE = 720_000e18;
    address private constant TREASURY = address(0x7e);
    address private constant GATEKEEPERS = address(0x6e);

    EmittedPha private _token;
    Emission private _emission;
    mapping(uint64 epoch => bytes32) public digestOf;

    /// @dev Counted beside the contract: each epoch's split as it was when the epoch began.
    IEmissionTypes.EmissionSplit[EPOCHS] private _planned;
    bool[EPOCHS] private _done;
    uint256[3] private _got;

    function setUp() external {
        vm.warp(uint256(genesis) + uint256(FIRST) * epochLength - 1);
        EmissionDeployer deployer = new EmissionDeployer(address(this), IEpochRecords(address(this)));
        (_token, _emission) = (deployer.token(), deployer.emission());
        _emission.setRewards(address(this));
    }

    /// @notice To the unit: an epoch brings what its split says of at most its budget, once, and only with a record; a record
    /// that awards too much brings nothing; a split that is set once an epoch has begun does not touch it.
    function testFuzz_anyOrder(uint256[40] calldata seeds) external {
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 kind = seeds[i] % 8;
            uint256 value = seeds[i] >> 8;
            if (kind <= 1) _record(value % EPOCHS);
            else if (kind == 2) vm.warp(block.timestamp + bound(value, 1, 2 * epochLength));
            else if (kind <= 4) _setSplit(value % (EPOCHS + 2), value >> 8);
            else _mint(value % EPOCHS, value >> 8);
            _checkBooks();
        }
    }

    /// @notice The schedule's sum never falls, and within a period follows its rate, rounded down.
    function testFuzz_schedule(uint256 elapsed, uint256 later) external pure {
        elapsed = bound(elapsed, 0, 400 days);
        later = bound(later, elapsed, 400 days);
        uint256 first = elapsed < 180 days ? elapsed : 180 days;
        uint256 second = elapsed - first < 180 days ? elapsed - first : 180 days;
        uint256 third = elapsed - first - second;
        uint256 expected = RATE * first / 1 days + RATE * 3 * second / 4 days + RATE * 9 * third / 16 days;
        assert(EmissionSchedule.emittedAfter(elapsed) == expected);
        assert(EmissionSchedule.emittedAfter(later) >= expected);
        assert(EmissionSchedule.emittedAfter(later) <= EmissionSchedule.total());
    }

    function _record(uint256 index) private {
        digestOf[FIRST + uint64(index)] = bytes32(uint256(1));
    }

    function _setSplit(uint256 index, uint256 value) private {
        IEmissionTypes.EmissionSplit memory split =
            IEmissionTypes.EmissionSplit(TREASURY, uint16(value % 3_001), GATEKEEPERS, uint16((value >> 16) % 1_001));
        uint64 epoch = FIRST + uint64(index);
        (bool went,) = address(_emission).call(abi.encodeCall(Emission.setSplit, (epoch, split)));
        // Not begun yet.
        assert(went == (block.timestamp < uint256(genesis) + uint256(epoch) * epochLength));
        if (!went) return;
        for (uint256 i = index; i < EPOCHS; ++i) _planned[i] = split;
    }

    function _mint(uint256 index, uint256 value) private {
        uint64 epoch = FIRST + uint64(index);
        uint256 budget = _budgetOf(index);
        assert(_emission.budgetOf(epoch) == budget);
        IEmissionTypes.EmissionSplit memory split = _planned[index];
        uint256 toTreasury = budget * split.treasuryBps / 10_000;
        uint256 toGatekeepers = budget * split.gatekeepersBps / 10_000;
        uint256 most = budget - toTreasury - toGatekeepers;
        assert(_emission.workersBudgetOf(epoch) == most);
        // Exactly all of it, exactly one too much, or anything.
        uint256 award = value % 4 == 0 ? most : value % 4 == 1 ? most + 1 : bound(value >> 2, 0, most + most / 4);
        (bool went, bytes memory answer) =
            address(_emission).call(abi.encodeCall(Emission.mintEpoch, (epoch, award)));
        assert(went == (digestOf[epoch] != 0 && !_done[index]));
        if (!went) return;
        _done[index] = true;
        bool minted = abi.decode(answer, (bool));
        assert(minted == (award <= most));
        if (!minted) return;
        _got[0] += award;
        _got[1] += toTreasury;
        _got[2] += toGatekeepers;
    }

    /// @dev Rate times the time of an epoch, or of two where the one before has no record; the rate falls in between.
    function _budgetOf(uint256 index) private view returns (uint256) {
        uint64 epoch = FIRST + uint64(index);
        if (digestOf[epoch] == 0) return 0;
        uint256 from = (digestOf[epoch - 1] == 0 ? uint256(epoch) - 1 : epoch) * epochLength;
        uint256 to = (uint256(epoch) + 1) * epochLength;
        uint256 before = from >= 180 days ? 0 : (to < 180 days ? to : 180 days) - from;
        return RATE * before / 1 days + RATE * 3 * (to - from - before) / 4 days;
    }

    function _checkBooks() private view {
        assert(_token.balanceOf(address(this)) == _got[0]);
        assert(_token.balanceOf(TREASURY) == _got[1]);
        assert(_token.balanceOf(GATEKEEPERS) == _got[2]);
        assert(_token.totalSupply() == _got[0] + _got[1] + _got[2]);
        assert(_token.issuedEver() == _token.totalSupply());
        // Missed time is never made up for: no more than the schedule brought, with one epoch before the first.
        assert(
            _token.totalSupply()
                <= EmissionSchedule.emittedAfter((FIRST + EPOCHS) * epochLength)
                    - EmissionSchedule.emittedAfter(uint256(FIRST - 1) * epochLength)
        );
        for (uint256 i = 0; i < EPOCHS; ++i) {
            IEmissionTypes.EmissionSplit memory split = _emission.splitOf(FIRST + uint64(i));
            assert(keccak256(abi.encode(split)) == keccak256(abi.encode(_planned[i])));
            assert(_emission.isMinted(FIRST + uint64(i)) == _done[i]);
        }
    }
}
