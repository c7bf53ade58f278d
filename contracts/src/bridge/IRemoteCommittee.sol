// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICommittee} from "../governance/ICommittee.sol";
import {IGuarded} from "./IGuarded.sol";

interface IRemoteCommitteeTypes {
    /// @notice The committee at home, as another chain knows it.
    /// @param generation Of the committee at home that has these signers: rising, not every one.
    /// @param signers In their order at home, at most 32, each once.
    struct MirroredGeneration {
        uint64 generation;
        uint8 threshold;
        address[] signers;
    }
}

interface IRemoteCommitteeErrors {
    error RemoteCommitteeDelayOutOfRange(uint64 delay, uint256 above, uint256 maximum);
    error RemoteCommitteeGenerationNotNewer(uint64 known, uint64 given);
    error RemoteCommitteeThresholdOutOfRange(uint256 threshold, uint256 members);
    error RemoteCommitteeSignerInvalid(address signer);
    error RemoteCommitteePending(uint64 generation, uint64 from);
    error RemoteCommitteeNotSignedByMembers(bytes32 digest);
    error RemoteCommitteeNotSignedByHolders(bytes32 digest);
}

interface IRemoteCommitteeEvents {
    /// @param from Unix seconds: it counts from then on.
    event HandoverAnnounced(uint64 indexed generation, uint8 threshold, address[] signers, uint64 from);
    event HandoverCancelled(uint64 indexed generation);
}

/// @title IRemoteCommittee
/// @notice The network's committee on another chain: a mirrored record of its signers, handed on by their own signatures.
/// @dev Proofs are those of {IGatekeeperCommittee}. A handover counts after a delay longer than the limit window, in which
/// the guardian may stop it. Members that leave keep their keys until then.
interface IRemoteCommittee is
    ICommittee,
    IGuarded,
    IRemoteCommitteeTypes,
    IRemoteCommitteeErrors,
    IRemoteCommitteeEvents
{
    /// @notice Announces the next signers. Anyone with the proofs, while none are announced.
    /// @param previousProof Of those that count now; not read where the timelock calls, for whom they are lost.
    /// @param heldProof Of the next ones, in their order.
    function handOver(
        MirroredGeneration calldata next,
        bytes calldata previousProof,
        bytes calldata heldProof
    ) external;

    /// @notice What both sign: RemoteHandover(uint64 generation,uint8 threshold,address[] signers).
    function handoverDigest(MirroredGeneration calldata next) external view returns (bytes32);

    /// @notice The signers that count now.
    function current() external view returns (MirroredGeneration memory);

    /// @notice The signers that are announced, and from when they count; zero where none are.
    function announced() external view returns (MirroredGeneration memory next, uint64 from);

    /// @notice Seconds from the announcement until it counts.
    function delay() external view returns (uint64);
}
