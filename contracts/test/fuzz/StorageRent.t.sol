// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStorageRentTypes} from "../../src/payments/IStorageRent.sol";
import {StorageRent} from "../../src/payments/StorageRent.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound, vm} from "./Vm.sol";

/// @notice Three payers, three gateways of which one pays itself, governance and a stranger, in random order. What should be is
/// counted beside the contract, epoch by epoch. This contract is the timelock.
contract StorageRentFuzzTest is IStorageRentTypes {
    uint64 private constant GENESIS = 1_800_000_000;
    uint32 private constant EPOCH = 1 hours;
    uint256 private constant PAYERS = 3;
    uint256 private constant GATEWAYS = 3;
    uint256 private constant RICH = 1e26;
    address private constant STRANGER = address(0xbad);

    /// @dev A rental as it was bought, and what happened to it.
    struct Seen {
        uint256 payer;
        uint256 gateway;
        uint256 from;
        uint256 bought;
        uint256 ended;
        uint256 perEpoch;
        uint256 collected;
        uint256 givenBack;
    }

    PhaTokenHarness private _token;
    StorageRent private _rent;
    Seen[] private _seen;
    uint256 private _price = 3e15 + 7;
    uint256 private _surplus;

    function setUp() external {
        vm.warp(GENESIS + 1);
        _token = new PhaTokenHarness(new address[](0), new uint256[](0));
        _rent = new StorageRent(StorageRentSettings(address(this), _token, GENESIS, EPOCH, uint128(_price)));
        _seen.push();
        for (uint256 i = 0; i < PAYERS; ++i) {
            _token.issue(_payer(i), RICH);
            vm.prank(_payer(i));
            _token.approve(address(_rent), type(uint256).max);
        }
    }

    /// @notice Whoever calls what in whatever order: to the unit, the contract has what gateways earned and payers would get
    /// back, a rental costs what its price of then was for each epoch it ran, and in the end everybody leaves with all of it.
    function testFuzz_anyOrder(uint256[48] calldata seeds) external {
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 kind = seeds[i] % 12;
            uint256 value = seeds[i] >> 8;
            if (kind <= 3) _buy(value);
            else if (kind <= 5) _cancel(value % PAYERS, value >> 8);
            else if (kind <= 7) _collect(value % GATEWAYS, value >> 8);
            else if (kind <= 9) vm.warp(vm.getBlockTimestamp() + bound(value, 1, 5 * EPOCH));
            else if (kind == 10) _setPrice(value);
            else _sendByMistake(value % PAYERS, value >> 8);
            _checkBooks();
        }
        _everybodyLeaves();
    }

    /// @notice The amounts at their bounds: nothing overflows, nothing is paid but what the token has.
    function testFuzz_bounds(uint64 size, uint48 from, uint48 epochs, uint128 price, uint256 maxSum) external {
        price = uint128(bound(price, 1, 1e27));
        _rent.setPrice(price);
        _price = price;
        Purchase[] memory bought = new Purchase[](1);
        bought[0] = Purchase(bytes32(uint256(1)), _gateway(0), size, from, epochs);
        uint256 begins = from;
        bool inRange = size >= 1 << 20 && size <= 1 << 50 && epochs > 0 && begins + epochs <= 20_000;
        uint256 sum = inRange ? uint256(epochs) * _ceil(size) : 0;
        vm.prank(_payer(0));
        (bool went,) = address(_rent).call(abi.encodeCall(StorageRent.prepay, (bought, maxSum)));
        assert(went == (inRange && sum <= maxSum && sum <= RICH));
        assert(_rent.totalHeld() == (went ? sum : 0));
        assert(_token.balanceOf(address(_rent)) == _rent.totalHeld());
    }

    function _buy(uint256 value) private {
        uint256 payer = value % PAYERS;
        uint256 count = 1 + (value >> 8) % 3;
        Purchase[] memory bought = new Purchase[](count);
        uint256 sum;
        uint256 now_ = _epoch();
        for (uint256 i = 0; i < count; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(value, i)));
            uint64 size = uint64(bound(seed, 1 << 20, 1 << 42));
            uint256 from = now_ + (seed >> 64) % 4;
            uint256 epochs = 1 + (seed >> 72) % 6;
            // One that is past begins now.
            uint256 stated = from == now_ ? (seed >> 80) % (now_ + 1) : from;
            bought[i] = Purchase(bytes32(1 + seed % 4), _gateway((seed >> 96) % GATEWAYS), size, uint48(stated), uint48(epochs));
            _seen.push(Seen(payer, (seed >> 96) % GATEWAYS, from, from + epochs, from + epochs, _ceil(size), 0, 0));
            sum += epochs * _ceil(size);
        }
        bool enough = sum <= _token.balanceOf(_payer(payer));
        vm.prank(_payer(payer));
        (bool went,) = address(_rent).call(abi.encodeCall(StorageRent.prepay, (bought, sum)));
        assert(went == enough);
        if (!went) for (uint256 i = 0; i < count; ++i) _seen.pop();
    }

    /// @dev By its payer, or by somebody else.
    function _cancel(uint256 who, uint256 value) private {
        if (_seen.length == 1) return;
        uint256 id = 1 + value % (_seen.length - 1);
        Seen storage one = _seen[id];
        uint256 next = _epoch() + 1;
        uint256 until = next <= one.from ? one.from : next;
        bool should = one.payer == who && until < one.ended;
        uint256 back = should ? (one.ended - until) * one.perEpoch : 0;
        if (one.payer == who) assert(_rent.refundable(id) == back);
        uint256 before = _token.balanceOf(_payer(who));
        vm.prank(_payer(who));
        (bool went,) = address(_rent).call(abi.encodeCall(StorageRent.cancel, (_only(id))));
        assert(went == should);
        if (!went) return;
        assert(_token.balanceOf(_payer(who)) == before + back);
        one.ended = until;
        one.givenBack += back;
    }

    /// @dev Anyone; the gateway is paid.
    function _collect(uint256 gateway, uint256 value) private {
        if (_seen.length == 1) return;
        uint256 id = 1 + value % (_seen.length - 1);
        Seen storage one = _seen[id];
        uint256 due = _earnedBy(one, _epoch()) - one.collected;
        uint256 before = _token.balanceOf(_gateway(gateway));
        vm.prank(STRANGER);
        (bool went,) = address(_rent).call(abi.encodeCall(StorageRent.collect, (_gateway(gateway), _only(id))));
        assert(went == (one.gateway == gateway));
        if (!went) return;
        assert(_token.balanceOf(_gateway(gateway)) == before + due);
        one.collected += due;
    }

    function _setPrice(uint256 value) private {
        uint128 next = uint128(bound(value, 1, 1e18));
        vm.prank(STRANGER);
        (bool went,) = address(_rent).call(abi.encodeCall(StorageRent.setPrice, (next)));
        assert(!went);
        _rent.setPrice(next);
        _price = next;
    }

    function _sendByMistake(uint256 payer, uint256 value) private {
        uint256 amount = bound(value, 0, 1e18);
        if (amount > _token.balanceOf(_payer(payer))) return;
        vm.prank(_payer(payer));
        _token.transfer(address(_rent), amount);
        _surplus += amount;
    }

    /// @dev What every epoch that was run through cost, counted one by one.
    function _earnedBy(Seen storage one, uint256 epoch) private view returns (uint256 sum) {
        for (uint256 each = one.from; each < one.ended && each < epoch; ++each) sum += one.perEpoch;
    }

    function _checkBooks() private view {
        uint256 held;
        for (uint256 id = 1; id < _seen.length; ++id) {
            Seen storage one = _seen[id];
            uint256 due = _earnedBy(one, _epoch()) - one.collected;
            assert(_rent.earned(id) == due);
            uint256 later = (one.ended - one.from) * one.perEpoch - one.collected - due;
            assert(one.collected + one.givenBack + due + later == (one.bought - one.from) * one.perEpoch);
            uint256 back = _rent.refundable(id);
            // What is neither earned nor goes back: the epoch of now, where it is paid.
            assert(later - back == (_epoch() >= one.from && _epoch() < one.ended ? one.perEpoch : 0));
            held += due + later;
        }
        assert(_rent.totalHeld() == held);
        assert(_token.balanceOf(address(_rent)) == held + _surplus);
    }

    function _everybodyLeaves() private {
        for (uint256 id = 1; id < _seen.length; ++id) _cancel(_seen[id].payer, id - 1);
        vm.warp(vm.getBlockTimestamp() + 20 * EPOCH);
        for (uint256 id = 1; id < _seen.length; ++id) _collect(_seen[id].gateway, id - 1);
        assert(_rent.totalHeld() == 0);
        assert(_token.balanceOf(address(_rent)) == _surplus);
    }

    function _ceil(uint256 size) private view returns (uint256) {
        return (size * _price + (1 << 30) - 1) / (1 << 30);
    }

    function _epoch() private view returns (uint256) {
        return (vm.getBlockTimestamp() - GENESIS) / EPOCH;
    }

    function _only(uint256 id) private pure returns (uint256[] memory ids) {
        ids = new uint256[](1);
        ids[0] = id;
    }

    function _payer(uint256 index) private pure returns (address) {
        return address(uint160(0xa000 + index));
    }

    /// @dev The last is a payer too.
    function _gateway(uint256 index) private pure returns (address) {
        return index == GATEWAYS - 1 ? _payer(0) : address(uint160(0xb000 + index));
    }
}
