// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IBridge} from "../../src/bridge/IBridge.sol";

/// @notice A recipient of messages that does as it is told, and takes them from anyone.
contract UnsafeBridgeRecipient is IERC7786Recipient {
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

    error UnsafeBridgeRecipientUnwilling();

    function setMode(Mode mode_, bytes calldata call_) external {
        mode = mode_;
        _call = call_;
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
        if (mode == Mode.Reenter) {
            (bool success, bytes memory answer) = msg.sender.call(_call);
            if (!success) {
                assembly ("memory-safe") {
                    revert(add(answer, 0x20), mload(answer))
                }
            }
        }
        ++taken;
        (lastId, lastSender, lastPayload) = (receiveId, sender, payload);
        return IERC7786Recipient.receiveMessage.selector;
    }
}
