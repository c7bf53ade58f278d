// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry} from "../../src/IWorkerRegistry.sol";
import {IFeeLedgerTypes} from "../../src/payments/IFeeLedger.sol";
import {IPayments, IPaymentsTypes} from "../../src/payments/IPayments.sol";
import {Channel} from "../../src/payments/PaymentRecords.sol";
import {Sponsorship} from "../../src/payments/Sponsorship.sol";
import {FeeSinkHarness} from "../harness/FeeSinkHarness.sol";
import {PhaTokenHarness} from "../harness/PhaTokenHarness.sol";
import {bound, deployCompiled, vm} from "./Vm.sol";

/// @notice A sponsor, three clients with two channels each, and a stranger, in random order. What should be is counted beside
/// the contract. This contract is the timelock and the registry.
contract SponsorshipFuzzTest {
    uint256 private constant CLIENTS = 3;
    uint256 private constant CHANNELS = 6;
    uint64 private constant DELAY = 1 hours;
    address private constant SPONSOR = address(0x5905);
    address private constant STRANGER = address(0xbad);
    uint64 public constant genesis = 1_800_000_000;
    uint32 public constant epochLength = 1 hours;

    PhaTokenHarness private _token;
    IPayments private _payments;
    Sponsorship private _sponsorship;

    uint256[CLIENTS] private _caps;
    mapping(uint256 client => mapping(uint256 epoch => uint256)) private _used;
    uint256[CHANNELS] private _in;
    uint256[CHANNELS] private _backAt;
    bool[CHANNELS] private _closed;
    uint256 private _taken;

    function setUp() external {
        vm.warp(genesis + 1);
        _token = new PhaTokenHarness(new address[](0), new uint256[](0));
        _payments = IPayments(deployCompiled("Payments.sol:Payments", abi.encode(
            IPaymentsTypes.PaymentsSettings({
                timelock: address(this),
                token: _token,
                workerRegistry: IWorkerRegistry(address(this)),
                stakePools: new FeeSinkHarness(_token),
                withdrawalDelay: DELAY,
                gatekeepers: address(0x6a),
                treasury: address(0x7e),
                shares: IFeeLedgerTypes.FeeShares(0, 0, 0)
            })
        )));
        _sponsorship = new Sponsorship(_payments, SPONSOR);
        _token.issue(address(_sponsorship), 1_000e18);
    }

    /// @notice Whoever calls what in whatever order: a client never puts more into channels in an epoch than the cap of then,
    /// nobody but the sponsor moves anything else, nothing leaves a channel before the delay, and to the unit all is where
    /// it should be.
    function testFuzz_anyOrder(uint256[48] calldata seeds) external {
        for (uint256 i = 0; i < seeds.length; ++i) {
            uint256 kind = seeds[i] % 10;
            uint256 value = seeds[i] >> 8;
            if (kind <= 3) _fund(value % CHANNELS, (value >> 8) % 4, bound(value >> 16, 0, 60e18));
            else if (kind <= 5) _setCap(value % CLIENTS, (value >> 8) % 3, bound(value >> 16, 0, 100e18));
            else if (kind == 6) vm.warp(vm.getBlockTimestamp() + bound(value, 1, 2 * epochLength));
            else if (kind == 7) _close(value % CHANNELS, (value >> 8) % 3);
            else if (kind == 8) _withdraw(value % CHANNELS);
            else _take((value >> 8) % 3, bound(value >> 16, 0, 40e18));
            _checkBooks();
        }
    }

    /// @dev By the client, the sponsor, another client or a stranger.
    function _fund(uint256 channel, uint256 who, uint256 amount) private {
        uint256 client = channel % CLIENTS;
        uint256 epoch = (vm.getBlockTimestamp() - genesis) / epochLength;
        uint256 left = _caps[client] > _used[client][epoch] ? _caps[client] - _used[client][epoch] : 0;
        bool should = who <= 1 && amount > 0 && amount <= left && !_closed[channel]
            && amount <= _token.balanceOf(address(_sponsorship));
        vm.prank(who == 0 ? _client(client) : who == 1 ? SPONSOR : who == 2 ? _client((client + 1) % CLIENTS) : STRANGER);
        (bool went,) =
            address(_sponsorship).call(abi.encodeCall(Sponsorship.fund, (_channel(channel), uint128(amount))));
        assert(went == should);
        if (!went) return;
        _used[client][epoch] += amount;
        _in[channel] += amount;
    }

    function _setCap(uint256 client, uint256 who, uint256 cap) private {
        _prankAs(who, client);
        (bool went,) =
            address(_sponsorship).call(abi.encodeCall(Sponsorship.setCap, (_client(client), uint128(cap))));
        assert(went == (who == 0));
        if (went) _caps[client] = cap;
    }

    function _close(uint256 channel, uint256 who) private {
        bool opened = _payments.channelOf(_payments.channelId(_channel(channel))).opened;
        _prankAs(who, channel % CLIENTS);
        (bool went,) = address(_sponsorship).call(abi.encodeCall(Sponsorship.requestClose, (_channel(channel))));
        assert(went == (who == 0 && opened));
        if (went) _backAt[channel] = vm.getBlockTimestamp() + DELAY;
    }

    /// @dev By anyone; comes back to the sponsorship.
    function _withdraw(uint256 channel) private {
        (bool went,) = address(_payments).call(abi.encodeCall(IPayments.withdraw, (_channel(channel))));
        assert(went == (_backAt[channel] != 0 && vm.getBlockTimestamp() >= _backAt[channel]));
        if (!went) return;
        (_in[channel], _backAt[channel], _closed[channel]) = (0, 0, true);
    }

    function _take(uint256 who, uint256 amount) private {
        bool there = amount <= _token.balanceOf(address(_sponsorship));
        _prankAs(who, 0);
        (bool went,) = address(_sponsorship).call(abi.encodeCall(Sponsorship.take, (amount)));
        assert(went == (who == 0 && there));
        if (went) _taken += amount;
    }

    function _checkBooks() private view {
        uint256 inChannels;
        for (uint256 i = 0; i < CHANNELS; ++i) {
            assert(_payments.channelOf(_payments.channelId(_channel(i))).deposited == _in[i]);
            inChannels += _in[i];
        }
        assert(_token.balanceOf(address(_payments)) == inChannels);
        assert(_token.balanceOf(SPONSOR) == _taken);
        assert(_token.balanceOf(address(_sponsorship)) == 1_000e18 - inChannels - _taken);
        assert(_token.allowance(address(_sponsorship), address(_payments)) == 0);
        uint256 epoch = (vm.getBlockTimestamp() - genesis) / epochLength;
        for (uint256 i = 0; i < CLIENTS; ++i) {
            uint256 left = _caps[i] > _used[i][epoch] ? _caps[i] - _used[i][epoch] : 0;
            assert(_sponsorship.leftOf(_client(i)) == left);
        }
    }

    function _prankAs(uint256 who, uint256 client) private {
        vm.prank(who == 0 ? SPONSOR : who == 1 ? _client(client) : STRANGER);
    }

    function _client(uint256 index) private pure returns (address) {
        return address(uint160(0xc000 + index));
    }

    function _channel(uint256 index) private view returns (Channel memory) {
        return Channel({
            payer: address(_sponsorship),
            payerKey: _client(index % CLIENTS),
            operator: address(0xa0),
            gateway: address(0),
            salt: bytes32(index)
        });
    }
}
