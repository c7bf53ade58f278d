// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786GatewaySource} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {ICommittee} from "../governance/ICommittee.sol";
import {BridgeMessage} from "./BridgeMessageLib.sol";
import {IGuarded} from "./IGuarded.sol";

interface IBridgeTypes {
    /// @notice A message where it was sent.
    enum SentStatus {
        None,
        Sent,
        Refunded
    }

    /// @notice A message where it was to arrive. Void is for ever.
    enum ArrivalStatus {
        None,
        Delivered,
        Failed,
        Void
    }

    /// @notice What a bridge is for ever, but for the last three.
    /// @param timelock The TimelockController that governs it on this chain.
    /// @param peerChain, peerBridge The other end.
    /// @param committee Whose proofs it takes.
    /// @param lifetime Seconds from sending to expiry.
    struct BridgeSettings {
        address timelock;
        uint256 peerChain;
        address peerBridge;
        address guardian;
        ICommittee committee;
        uint64 lifetime;
    }

    struct Arrival {
        ArrivalStatus status;
        uint64 expiry;
        address recipient;
    }
}

interface IBridgeErrors {
    error BridgePeerMissing();
    error BridgeCommitteeWithoutCode(address committee);
    error BridgeLifetimeOutOfRange(uint64 lifetime, uint64 minimum, uint64 maximum);

    /// Sending
    error BridgeValueUnsupported(uint256 value);
    error BridgeRecipientChainMismatch(uint256 expected, uint256 given);
    error BridgeRecipientMissing();
    error BridgePayloadTooLarge(uint256 length, uint256 maximum);

    /// Arriving
    error BridgeRouteMismatch(bytes32 expected, bytes32 given);
    error BridgeNumberMismatch(uint64 expected, uint64 given);
    error BridgePayloadMismatch(bytes32 expected, bytes32 given);
    error BridgeNotSigned(bytes32 digest);
    error BridgeGasTooLow(uint256 left, uint256 needed);
    error BridgeStatusMismatch(bytes32 id, IBridgeTypes.ArrivalStatus expected, IBridgeTypes.ArrivalStatus actual);
    error BridgeMessageExpired(bytes32 id, uint64 expiry);
    error BridgeMessageNotExpired(bytes32 id, uint64 expiry);
    error BridgeRecipientFailed(bytes32 id);
    error BridgeCallerNotRecipient(address caller, address recipient);

    /// Refunds
    error BridgeNotRefundable(bytes32 id, IBridgeTypes.SentStatus status);
}

interface IBridgeEvents {
    /// @notice With {IERC7786GatewaySource-MessageSent} all that the committee signs; `id` is its sendId.
    event BridgeMessageSent(bytes32 indexed id, address indexed sender, BridgeMessage message);
    event BridgeMessageDelivered(bytes32 indexed id, address indexed sender, uint64 number, address recipient);

    /// @notice The recipient failed or gave another answer than ERC-7786 asks.
    event BridgeMessageFailed(bytes32 indexed id, address indexed sender, uint64 number, address recipient);

    /// @notice It expired, or its recipient refused it. The committee signs a void statement.
    event BridgeMessageVoided(bytes32 indexed id);
    event BridgeMessageRefunded(bytes32 indexed id, address indexed sender);
    event CommitteeSet(ICommittee committee);
    event LifetimeSet(uint64 lifetime);
}

/// @title IBridge
/// @notice One end of a link between two chains: sends messages (ERC-7786), and delivers those of the other end that the
/// committee signed, in each sender's order.
/// @dev Anyone carries messages. A message takes its number whatever becomes of it, so none holds up those behind it.
/// Every message ends in one of two ways: delivered, or void and refundable to its sender.
interface IBridge is IERC7786GatewaySource, IGuarded, IBridgeTypes, IBridgeErrors, IBridgeEvents {
    /* ARRIVING */

    /// @notice Takes the sender's next message and hands it to its recipient with {RECIPIENT_GAS}; void where it expired.
    /// @param proof The committee's, over the message's id.
    function deliver(
        BridgeMessage calldata message,
        bytes calldata payload,
        bytes calldata proof
    ) external returns (ArrivalStatus status);

    /// @notice Hands a failed message over again before it expires, with all gas there is. Reverts where it fails again.
    function retry(BridgeMessage calldata message, bytes calldata payload) external;

    /// @notice As {deliver} or {retry}, expired or not. Timelock only. Not a message that is void: that may be refunded.
    /// @param proof As for {deliver}; not read for a failed message.
    function revive(BridgeMessage calldata message, bytes calldata payload, bytes calldata proof) external;

    /// @notice Voids a failed message that expired. Anyone.
    function expire(bytes32 id) external;

    /// @notice Voids a message that was delivered. Its recipient alone, which gives up what came with it.
    function refuse(bytes32 id) external;

    /* REFUNDS */

    /// @notice Gives a message back to its sender ({IBridgeSender}), once.
    /// @param proof The committee's, over {voidDigest}.
    function refund(BridgeMessage calldata message, bytes calldata payload, bytes calldata proof) external;

    /* GOVERNANCE */

    /// @notice Whose proofs hold. Timelock only.
    function setCommittee(ICommittee committee) external;

    /// @notice Seconds from sending to expiry, 1 day to 60 days, for later messages. Timelock only.
    function setLifetime(uint64 lifetime) external;

    /* VIEWS */

    /// @notice The id of a message that arrives here: what the committee signs.
    function arrivalId(BridgeMessage calldata message) external view returns (bytes32);

    /// @notice What the committee signs so that a message sent from here is refunded.
    function voidDigest(BridgeMessage calldata message) external view returns (bytes32);
    function sentStatus(bytes32 id) external view returns (SentStatus);
    function arrivalOf(bytes32 id) external view returns (Arrival memory);

    /// @notice How many messages a sender here has sent.
    function sentCount(address sender) external view returns (uint64);

    /// @notice How many messages of a sender over there were taken here.
    function arrivedCount(address sender) external view returns (uint64);
    function committee() external view returns (ICommittee);
    function lifetime() external view returns (uint64);
    function peerChain() external view returns (uint256);
    function peerBridge() external view returns (address);
    function RECIPIENT_GAS() external view returns (uint256);
    function MAX_PAYLOAD() external view returns (uint256);
}
