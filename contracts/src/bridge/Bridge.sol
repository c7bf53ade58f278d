// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource, IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {InteroperableAddress} from "@openzeppelin/contracts/utils/draft-InteroperableAddress.sol";
import {ICommittee} from "../governance/ICommittee.sol";
import {ReceiptLib} from "../receipts/ReceiptLib.sol";
import {BridgeMessage, BridgeMessageLib} from "./BridgeMessageLib.sol";
import {Guarded} from "./Guarded.sol";
import {IBridge} from "./IBridge.sol";
import {IBridgeSender} from "./IBridgeSender.sol";

/// @title Bridge
contract Bridge is IBridge, Guarded, ReentrancyGuardTransient {
    /// @inheritdoc IBridge
    uint256 public constant RECIPIENT_GAS = 400_000;

    /// @inheritdoc IBridge
    uint256 public constant MAX_PAYLOAD = 8_192;

    uint64 private constant MIN_LIFETIME = 1 days;
    uint64 private constant MAX_LIFETIME = 60 days;

    /// @dev For what follows the recipient's call: one slot that is warm, an event.
    uint256 private constant GAS_AFTER_CALL = 20_000;

    /// @inheritdoc IBridge
    uint256 public immutable peerChain;

    /// @inheritdoc IBridge
    address public immutable peerBridge;

    bytes32 private immutable _separator;
    bytes32 private immutable _peerSeparator;

    /// @inheritdoc IBridge
    ICommittee public committee;

    /// @inheritdoc IBridge
    uint64 public lifetime;

    /// @inheritdoc IBridge
    mapping(address sender => uint64) public sentCount;

    /// @inheritdoc IBridge
    mapping(address sender => uint64) public arrivedCount;

    /// @inheritdoc IBridge
    mapping(bytes32 id => SentStatus) public sentStatus;

    mapping(bytes32 id => Arrival) private _arrivals;

    /// @dev Warning: the peer need not exist yet, since each end names the other.
    constructor(BridgeSettings memory settings) Guarded(settings.timelock, settings.guardian) {
        if (settings.peerChain == 0 || settings.peerBridge == address(0)) revert BridgePeerMissing();
        peerChain = settings.peerChain;
        peerBridge = settings.peerBridge;
        _separator = ReceiptLib.domainSeparator(block.chainid, address(this));
        _peerSeparator = ReceiptLib.domainSeparator(settings.peerChain, settings.peerBridge);
        _setCommittee(settings.committee);
        _setLifetime(settings.lifetime);
    }

    /// @inheritdoc IERC7786GatewaySource
    function sendMessage(
        bytes calldata recipient,
        bytes calldata payload,
        bytes[] calldata attributes
    ) external payable whenRunning returns (bytes32 sendId) {
        if (msg.value != 0) revert BridgeValueUnsupported(msg.value);
        if (attributes.length != 0) revert UnsupportedAttribute(bytes4(attributes[0]));
        if (payload.length > MAX_PAYLOAD) revert BridgePayloadTooLarge(payload.length, MAX_PAYLOAD);
        (uint256 chain, address to) = InteroperableAddress.parseEvmV1Calldata(recipient);
        if (chain != peerChain) revert BridgeRecipientChainMismatch(peerChain, chain);
        if (to == address(0)) revert BridgeRecipientMissing();
        BridgeMessage memory message = BridgeMessage({
            route: _routeOut(msg.sender),
            number: ++sentCount[msg.sender],
            expiry: uint64(block.timestamp) + lifetime,
            sender: msg.sender,
            recipient: to,
            payloadHash: keccak256(payload)
        });
        sendId = BridgeMessageLib.digest(message, _peerSeparator);
        sentStatus[sendId] = SentStatus.Sent;
        emit BridgeMessageSent(sendId, msg.sender, message);
        bytes memory sender = InteroperableAddress.formatEvmV1(block.chainid, msg.sender);
        emit MessageSent(sendId, sender, recipient, payload, 0, attributes);
    }

    /// @inheritdoc IBridge
    function deliver(
        BridgeMessage calldata message,
        bytes calldata payload,
        bytes calldata proof
    ) external nonReentrant whenRunning returns (ArrivalStatus status) {
        bytes32 id = arrivalId(message);
        _take(id, message, payload, proof);
        if (block.timestamp >= message.expiry) {
            status = ArrivalStatus.Void;
            _note(id, message, status);
            emit BridgeMessageVoided(id);
            return status;
        }
        _note(id, message, ArrivalStatus.Delivered);
        bytes memory data = _callOf(id, message.sender, payload);
        // All but a 64th of what is left goes with a call: with less than this the recipient would get too little, and
        // whoever carries the message could make it fail.
        uint256 needed = RECIPIENT_GAS + RECIPIENT_GAS / 63 + GAS_AFTER_CALL;
        if (gasleft() < needed) revert BridgeGasTooLow(gasleft(), needed);
        if (_isTaken(message.recipient, data, RECIPIENT_GAS)) {
            emit BridgeMessageDelivered(id, message.sender, message.number, message.recipient);
            return ArrivalStatus.Delivered;
        }
        _arrivals[id].status = ArrivalStatus.Failed;
        emit BridgeMessageFailed(id, message.sender, message.number, message.recipient);
        return ArrivalStatus.Failed;
    }

    /// @inheritdoc IBridge
    function retry(BridgeMessage calldata message, bytes calldata payload) external nonReentrant whenRunning {
        bytes32 id = arrivalId(message);
        if (block.timestamp >= message.expiry) revert BridgeMessageExpired(id, message.expiry);
        _retry(id, message, payload);
    }

    /// @inheritdoc IBridge
    function revive(
        BridgeMessage calldata message,
        bytes calldata payload,
        bytes calldata proof
    ) external nonReentrant whenRunning onlyTimelock {
        bytes32 id = arrivalId(message);
        if (_arrivals[id].status == ArrivalStatus.None) {
            _take(id, message, payload, proof);
            _note(id, message, ArrivalStatus.Failed);
        }
        _retry(id, message, payload);
    }

    /// @inheritdoc IBridge
    function expire(bytes32 id) external nonReentrant whenRunning {
        Arrival storage arrival = _arrivals[id];
        _checkStatus(id, arrival.status, ArrivalStatus.Failed);
        if (block.timestamp < arrival.expiry) revert BridgeMessageNotExpired(id, arrival.expiry);
        arrival.status = ArrivalStatus.Void;
        emit BridgeMessageVoided(id);
    }

    /// @inheritdoc IBridge
    function refuse(bytes32 id) external nonReentrant {
        Arrival storage arrival = _arrivals[id];
        if (msg.sender != arrival.recipient) revert BridgeCallerNotRecipient(msg.sender, arrival.recipient);
        _checkStatus(id, arrival.status, ArrivalStatus.Delivered);
        arrival.status = ArrivalStatus.Void;
        emit BridgeMessageVoided(id);
    }

    /// @inheritdoc IBridge
    function refund(
        BridgeMessage calldata message,
        bytes calldata payload,
        bytes calldata proof
    ) external nonReentrant whenRunning {
        bytes32 id = BridgeMessageLib.digest(message, _peerSeparator);
        if (sentStatus[id] != SentStatus.Sent) revert BridgeNotRefundable(id, sentStatus[id]);
        _checkPayload(message, payload);
        bytes32 statement = voidDigest(message);
        if (!committee.verify(statement, proof)) revert BridgeNotSigned(statement);
        sentStatus[id] = SentStatus.Refunded;
        emit BridgeMessageRefunded(id, message.sender);
        // A sender that fails can be refunded later: nothing of this stays.
        if (message.sender.code.length != 0) IBridgeSender(message.sender).messageVoided(id, payload);
    }

    /// @inheritdoc IBridge
    function setCommittee(ICommittee committee_) external onlyTimelock {
        _setCommittee(committee_);
    }

    /// @inheritdoc IBridge
    function setLifetime(uint64 lifetime_) external onlyTimelock {
        _setLifetime(lifetime_);
    }

    /// @inheritdoc IBridge
    function arrivalOf(bytes32 id) external view returns (Arrival memory) {
        return _arrivals[id];
    }

    /// @inheritdoc IERC7786GatewaySource
    function supportsAttribute(bytes4) external pure returns (bool) {
        return false;
    }

    /// @inheritdoc IBridge
    function arrivalId(BridgeMessage calldata message) public view returns (bytes32) {
        return BridgeMessageLib.digest(message, _separator);
    }

    /// @inheritdoc IBridge
    function voidDigest(BridgeMessage calldata message) public view returns (bytes32) {
        bytes32 id = BridgeMessageLib.digest(message, _peerSeparator);
        return BridgeMessageLib.voidDigest(message.route, message.number, id, _separator);
    }

    /// @dev Everything that makes a message the sender's next, signed one.
    function _take(
        bytes32 id,
        BridgeMessage calldata message,
        bytes calldata payload,
        bytes calldata proof
    ) private {
        bytes32 route = BridgeMessageLib.route(peerChain, peerBridge, message.sender, block.chainid, address(this));
        if (message.route != route) revert BridgeRouteMismatch(route, message.route);
        uint64 number = arrivedCount[message.sender] + 1;
        if (message.number != number) revert BridgeNumberMismatch(number, message.number);
        _checkPayload(message, payload);
        if (!committee.verify(id, proof)) revert BridgeNotSigned(id);
        arrivedCount[message.sender] = number;
    }

    function _retry(bytes32 id, BridgeMessage calldata message, bytes calldata payload) private {
        Arrival storage arrival = _arrivals[id];
        _checkStatus(id, arrival.status, ArrivalStatus.Failed);
        _checkPayload(message, payload);
        arrival.status = ArrivalStatus.Delivered;
        if (!_isTaken(message.recipient, _callOf(id, message.sender, payload), gasleft())) {
            revert BridgeRecipientFailed(id);
        }
        emit BridgeMessageDelivered(id, message.sender, message.number, message.recipient);
    }

    function _note(bytes32 id, BridgeMessage calldata message, ArrivalStatus status) private {
        _arrivals[id] = Arrival({status: status, expiry: message.expiry, recipient: message.recipient});
    }

    /// @dev Whether the recipient took it: it answered with the selector. Of its answer no more than one word is copied,
    /// however long it is.
    function _isTaken(address recipient, bytes memory data, uint256 gasLimit) private returns (bool) {
        bytes32 answer;
        bool success;
        assembly ("memory-safe") {
            success := call(gasLimit, recipient, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            if lt(returndatasize(), 0x20) { success := 0 }
            answer := mload(0x00)
        }
        return success && answer == bytes32(IERC7786Recipient.receiveMessage.selector);
    }

    function _setCommittee(ICommittee committee_) private {
        if (address(committee_).code.length == 0) revert BridgeCommitteeWithoutCode(address(committee_));
        committee = committee_;
        emit CommitteeSet(committee_);
    }

    function _setLifetime(uint64 lifetime_) private {
        if (lifetime_ < MIN_LIFETIME || lifetime_ > MAX_LIFETIME) {
            revert BridgeLifetimeOutOfRange(lifetime_, MIN_LIFETIME, MAX_LIFETIME);
        }
        lifetime = lifetime_;
        emit LifetimeSet(lifetime_);
    }

    function _callOf(bytes32 id, address sender, bytes calldata payload) private view returns (bytes memory) {
        bytes memory from = InteroperableAddress.formatEvmV1(peerChain, sender);
        return abi.encodeCall(IERC7786Recipient.receiveMessage, (id, from, payload));
    }

    function _routeOut(address sender) private view returns (bytes32) {
        return BridgeMessageLib.route(block.chainid, address(this), sender, peerChain, peerBridge);
    }

    function _checkPayload(BridgeMessage calldata message, bytes calldata payload) private pure {
        bytes32 given = keccak256(payload);
        if (given != message.payloadHash) revert BridgePayloadMismatch(message.payloadHash, given);
    }

    function _checkStatus(bytes32 id, ArrivalStatus actual, ArrivalStatus expected) private pure {
        if (actual != expected) revert BridgeStatusMismatch(id, expected, actual);
    }
}
