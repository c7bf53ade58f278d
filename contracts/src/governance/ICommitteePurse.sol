// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IGatekeeperCommittee} from "./IGatekeeperCommittee.sol";

interface ICommitteePurseErrors {
    error CommitteePurseWithoutCode(address missing);
    error CommitteePurseNoMembers();
    error CommitteePurseTooLittle(uint256 balance, uint256 members);
}

interface ICommitteePurseEvents {
    event PurseShared(uint256 members, uint256 toEach);
}

/// @title ICommitteePurse
/// @notice Takes the gatekeepers' part of fees and emission, and shares it among the members of the day alike. Owned by
/// nobody.
interface ICommitteePurse is ICommitteePurseErrors, ICommitteePurseEvents {
    /// @notice Pays what is here to the present members' operators in equal parts; what can't be divided waits for the
    /// next time. Anyone.
    /// @dev Who is a member at that moment has a part of what came in before: share often, at each handover at least.
    function share() external;

    function token() external view returns (IERC20);
    function committee() external view returns (IGatekeeperCommittee);
}
