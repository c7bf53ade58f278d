// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC7786Recipient} from "@openzeppelin/contracts/interfaces/draft-IERC7786.sol";
import {IERC7802} from "@openzeppelin/contracts/interfaces/draft-IERC7802.sol";
import {IBridge} from "./IBridge.sol";
import {IBridgeSender} from "./IBridgeSender.sol";
import {IGuarded} from "./IGuarded.sol";

interface IPhaRouteTypes {
    /// @notice What a route is for ever, but for the last two.
    /// @param peerRoute The route's other end, on the bridge's peer chain.
    struct RouteSettings {
        address timelock;
        IBridge bridge;
        address peerRoute;
        address guardian;
        Limits limits;
    }

    /// @notice Of what arrives, in the smallest unit (18 decimals).
    /// @param window The most that is paid in any interval of a day.
    /// @param large From this amount on a transfer is delayed. At most half the window: more never passes at once.
    struct Limits {
        uint128 window;
        uint128 large;
    }

    /// @notice A transfer that arrived and is not paid.
    /// @param left Still to pay; zero where there is no such transfer, or no longer.
    /// @param readyAt Unix seconds: nothing is paid before then.
    /// @param begun Whether a part of it was paid.
    /// @param isRefund Whether it came back to its sender.
    struct Transfer {
        address to;
        uint96 left;
        uint64 readyAt;
        bool begun;
        bool isRefund;
    }
}

interface IPhaRouteErrors {
    error PhaRouteBridgeWithoutCode(address bridge);
    error PhaRoutePeerMissing();
    error PhaRouteLimitsOutOfRange(uint128 window, uint128 large, uint256 maximum);
    error PhaRouteReceiverMissing();
    error PhaRouteAmountOutOfRange(uint256 amount, uint256 minimum, uint256 maximum);
    error PhaRouteCallerNotBridge(address caller, address bridge);
    error PhaRouteSenderMismatch(bytes expected, bytes given);
    error PhaRouteNothingToPay(bytes32 id);
    error PhaRouteDelayed(bytes32 id, uint64 readyAt);
    error PhaRouteNoRoom(bytes32 id, uint256 left, uint256 windowRoom, uint256 mintable);
    error PhaRouteCallerMayNotCancel(address caller, bytes32 id);
}

interface IPhaRouteEvents {
    event TransferSent(bytes32 indexed id, address indexed from, address indexed to, uint256 amount);

    /// @notice What could not be paid as it arrived: large (readyAt ahead), or beyond what the limits leave.
    event TransferQueued(bytes32 indexed id, address indexed to, uint256 amount, uint64 readyAt, bool isRefund);

    /// @param left Still to pay.
    event TransferPaid(bytes32 indexed id, address indexed to, uint256 amount, uint256 left);

    /// @param refundable Whether the message is void by this, so that the sender gets the amount back.
    event TransferCancelled(bytes32 indexed id, address indexed to, uint256 left, bool refundable);
    event LimitsSet(uint128 window, uint128 large);
}

/// @title IPhaRoute
/// @notice One end of a route for PHA: burns what goes out and mints what arrives, within limits.
/// @dev What is paid when: at once where it is small and the limits leave room; else by {release}, in parts where need be.
interface IPhaRoute is IERC7786Recipient, IBridgeSender, IGuarded, IPhaRouteTypes, IPhaRouteErrors, IPhaRouteEvents {
    /// @notice Burns the caller's PHA, within its allowance to this contract, and sends it to an account on the other chain.
    /// @param amount At least 1 PHA.
    function send(address to, uint256 amount) external returns (bytes32 id);

    /// @notice Pays of a waiting transfer what the limits leave room for. Anyone.
    function release(bytes32 id) external returns (uint256 paid);

    /// @notice Gives up a transfer of which nothing was paid: its message is void, so its sender gets the amount back.
    /// Guardian and timelock. What was paid in part, and what is a refund itself, the timelock alone; nobody gets that back.
    function cancelTransfer(bytes32 id) external;

    /// @notice Limits from now on. Timelock only.
    function setLimits(Limits calldata limits) external;

    function transferOf(bytes32 id) external view returns (Transfer memory);
    function limits() external view returns (uint128 window, uint128 large);

    /// @notice What may be paid now: the smaller of what the window leaves and what the token lets this route mint.
    function payableNow() external view returns (uint256);
    function token() external view returns (IERC7802);
    function bridge() external view returns (IBridge);
    function peerRoute() external view returns (address);

    /// @notice Seconds that a large transfer waits.
    function LARGE_DELAY() external view returns (uint64);
}
