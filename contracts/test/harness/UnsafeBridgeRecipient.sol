// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IBridge} from "../../src/bridge/IBridge.sol";
import {IBridgeSender} from "../../src/bridge/IBridgeSender.sol";

/// @notice A recipient and sender of messages that does as it is told, and takes them from anyone.
contract UnsafeBridgeRecipient is IERC7786Recipient, IBridgeSender {
    enum Mode {
        Take,
        Revert,
        BurnGas,
        LongAnswer,
        LongRevert,
        WrongAnswer,
        Reenter
    }

    Mode public mode;
    uint256 public taken;
    bytes32 public lastId;
    bytes public lastSender;
    bytes public lastPayload;
    bytes private _call;
    address private _target;
    uint256 public voided;

    error UnsafeBridgeRecipientUnwilling();

    function setMode(Mode mode_, bytes calldata call_) external {
        mode = mode_;
        _call = call_;
    }

    /// @notice Whom it calls when it reenters, in place of who called it.
    function setTarget(address target) external {
        _target = target;
    }

    /// @notice Sends a message of its own.
    function send(IBridge bridge, bytes calldata recipient, bytes calldata payload) external {
        bridge.sendMessage(recipient, payload, new bytes[](0));
    }

    function messageVoided(bytes32, bytes calldata) external {
        if (mode == Mode.Reenter) _reenter();
        ++voided;
    }

    /// @notice Refuses a message at the bridge.
    function refuse(IBridge bridge, bytes32 id) external {
        bridge.refuse(id);
    }

    function receiveMessage(
        bytes32 receiveId,
        bytes calldata sender,
        bytes calldata payload
    ) external payable returns (bytes4) {
        if (mode == Mode.Revert) revert UnsafeBridgeRecipientUnwilling();
        if (mode == Mode.BurnGas) while (true) {}
        if (mode == Mode.LongAnswer) {
            assembly ("memory-safe") {
                return(0, 100000)
            }
        }
        if (mode == Mode.LongRevert) {
            assembly ("memory-safe") {
                revert(0, 100000)
            }
        }
        if (mode == Mode.WrongAnswer) return 0x01020304;
        if (mode == Mode.Reenter) _reenter();
        ++taken;
        (lastId, lastSender, lastPayload) = (receiveId, sender, payload);
        return IERC7786Recipient.receiveMessage.selector;
    }

    function _reenter() private {
        (bool success, bytes memory answer) = (_target == address(0) ? msg.sender : _target).call(_call);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }
}
