// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Guarded} from "./Guarded.sol";
import {IBridge} from "./IBridge.sol";
import {IBridgeSender} from "./IBridgeSender.sol";
import {IPhaRoute} from "./IPhaRoute.sol";
import {TransferWindow} from "./TransferWindow.sol";

/// @title PhaRoute
/// @dev No reentrancy: it calls its token and its bridge alone, neither of which calls others on the way.
abstract contract PhaRoute is IPhaRoute, Guarded {
    using TransferWindow for TransferWindow.Bucket;

    /// @inheritdoc IPhaRoute
    uint64 public constant LARGE_DELAY = 1 days;

    /// @dev A hundredth of all PHA that can ever be.
    uint256 private constant MAX_WINDOW = 10_000_000e18;
    uint256 private constant MIN_AMOUNT = 1e18;

    /// @inheritdoc IPhaRoute
    IERC7802 public immutable token;

    /// @inheritdoc IPhaRoute
    IBridge public immutable bridge;

    /// @inheritdoc IPhaRoute
    address public immutable peerRoute;

    uint256 private immutable _peerChain;

    /// @inheritdoc IPhaRoute
    Limits public limits;

    TransferWindow.Bucket private _bucket;
    mapping(bytes32 id => Transfer) private _transfers;

    /// @dev Warning: the peer need not exist yet, since each end names the other.
    constructor(RouteSettings memory settings, IERC7802 token_) Guarded(settings.timelock, settings.guardian) {
        if (address(settings.bridge).code.length == 0) revert PhaRouteBridgeWithoutCode(address(settings.bridge));
        if (settings.peerRoute == address(0)) revert PhaRoutePeerMissing();
        token = token_;
        bridge = settings.bridge;
        peerRoute = settings.peerRoute;
        _peerChain = settings.bridge.peerChain();
        _setLimits(settings.limits);
    }

    modifier onlyBridge() {
        if (msg.sender != address(bridge)) revert PhaRouteCallerNotBridge(msg.sender, address(bridge));
        _;
    }

    /// @inheritdoc IPhaRoute
    function send(address to, uint256 amount) external whenRunning returns (bytes32 id) {
        if (to == address(0)) revert PhaRouteReceiverMissing();
        if (amount < MIN_AMOUNT || amount > type(uint96).max) {
            revert PhaRouteAmountOutOfRange(amount, MIN_AMOUNT, type(uint96).max);
        }
        token.crosschainBurn(msg.sender, amount);
        id = bridge.sendMessage(_peer(), abi.encode(msg.sender, to, amount), new bytes[](0));
        emit TransferSent(id, msg.sender, to, amount);
    }

    /// @inheritdoc IERC7786Recipient
    /// @dev From this route's bridge and its other end alone. A revert leaves the message failed, to be retried.
    function receiveMessage(
        bytes32 receiveId,
        bytes calldata sender,
        bytes calldata payload
    ) external payable onlyBridge whenRunning returns (bytes4) {
        bytes memory peer = _peer();
        if (keccak256(sender) != keccak256(peer)) revert PhaRouteSenderMismatch(peer, sender);
        (, address to, uint256 amount) = abi.decode(payload, (address, address, uint256));
        _accept(receiveId, to, amount, false);
        return IERC7786Recipient.receiveMessage.selector;
    }

    /// @inheritdoc IBridgeSender
    /// @dev What comes back is limited and delayed like what arrives: a void statement can be forged by whoever can forge a
    /// message.
    function messageVoided(bytes32 id, bytes calldata payload) external onlyBridge whenRunning {
        (address from,, uint256 amount) = abi.decode(payload, (address, address, uint256));
        _accept(id, from, amount, true);
    }

    /// @inheritdoc IPhaRoute
    function release(bytes32 id) external whenRunning returns (uint256 paid) {
        Transfer memory transfer = _transfers[id];
        if (transfer.left == 0) revert PhaRouteNothingToPay(id);
        if (block.timestamp < transfer.readyAt) revert PhaRouteDelayed(id, transfer.readyAt);
        (uint256 windowRoom, uint256 mintable) = (_bucket.room(limits.window), _mintable());
        paid = Math.min(transfer.left, Math.min(windowRoom, mintable));
        if (paid == 0) revert PhaRouteNoRoom(id, transfer.left, windowRoom, mintable);
        transfer.left -= uint96(paid);
        transfer.begun = true;
        if (transfer.left == 0) delete _transfers[id];
        else _transfers[id] = transfer;
        _pay(id, transfer.to, paid, transfer.left);
    }

    /// @inheritdoc IPhaRoute
    function cancelTransfer(bytes32 id) external {
        Transfer memory transfer = _transfers[id];
        bool refundable = !transfer.begun && !transfer.isRefund;
        if (msg.sender != timelock && (msg.sender != guardian || !refundable)) {
            revert PhaRouteCallerMayNotCancel(msg.sender, id);
        }
        if (transfer.left == 0) revert PhaRouteNothingToPay(id);
        delete _transfers[id];
        emit TransferCancelled(id, transfer.to, transfer.left, refundable);
        if (refundable) bridge.refuse(id);
    }

    /// @inheritdoc IPhaRoute
    function setLimits(Limits calldata limits_) external onlyTimelock {
        // What drained until now drained by the limit of until now.
        _bucket.take(limits.window, 0);
        _setLimits(limits_);
    }

    /// @inheritdoc IPhaRoute
    function transferOf(bytes32 id) external view returns (Transfer memory) {
        return _transfers[id];
    }

    /// @inheritdoc IPhaRoute
    function payableNow() external view returns (uint256) {
        return Math.min(_bucket.room(limits.window), _mintable());
    }

    /// @dev What the token lets this route mint now.
    function _mintable() internal view virtual returns (uint256);

    function _accept(bytes32 id, address to, uint256 amount, bool isRefund) private {
        if (to == address(0)) revert PhaRouteReceiverMissing();
        if (amount < MIN_AMOUNT || amount > type(uint96).max) {
            revert PhaRouteAmountOutOfRange(amount, MIN_AMOUNT, type(uint96).max);
        }
        bool large = amount >= limits.large;
        if (!large && amount <= _bucket.room(limits.window) && amount <= _mintable()) {
            _pay(id, to, amount, 0);
            return;
        }
        uint64 readyAt = uint64(block.timestamp) + (large ? LARGE_DELAY : 0);
        _transfers[id] =
            Transfer({to: to, left: uint96(amount), readyAt: readyAt, begun: false, isRefund: isRefund});
        emit TransferQueued(id, to, amount, readyAt, isRefund);
    }

    function _pay(bytes32 id, address to, uint256 amount, uint256 left) private {
        _bucket.take(limits.window, amount);
        emit TransferPaid(id, to, amount, left);
        token.crosschainMint(to, amount);
    }

    function _setLimits(Limits memory limits_) private {
        if (limits_.window > MAX_WINDOW || limits_.large > limits_.window / 2) {
            revert PhaRouteLimitsOutOfRange(limits_.window, limits_.large, MAX_WINDOW);
        }
        limits = limits_;
        emit LimitsSet(limits_.window, limits_.large);
    }

    function _peer() private view returns (bytes memory) {
        return InteroperableAddress.formatEvmV1(_peerChain, peerRoute);
    }
}
