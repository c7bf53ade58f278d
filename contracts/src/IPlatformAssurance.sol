// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IWorkerRegistry, IWorkerRegistryTypes} from "./IWorkerRegistry.sol";

interface IPlatformAssuranceTypes {
    /// @notice What is said about where a physical machine stands and who may touch it; each level is worth more than
    /// the one before. SelfAsserted: its operator says who owns it. OwnerEndorsed: that owner confirms it.
    /// Audited: an elected auditor has looked.
    enum AssuranceLevel {
        None,
        SelfAsserted,
        OwnerEndorsed,
        Audited
    }

    /// @param owner Whom the operator names as the machine's owner.
    /// @param endorsedUntil Unix seconds; zero where the owner has not confirmed.
    struct Ownership {
        address owner;
        uint64 endorsedUntil;
    }

    /// @param until Unix seconds.
    /// @param report keccak256 of what the auditor published.
    struct Audit {
        address auditor;
        uint64 until;
        bytes32 report;
    }
}

interface IPlatformAssuranceErrors {
    error PlatformAssuranceRegistryWithoutCode(address registry);
    error PlatformAssuranceZeroOwner();
    error PlatformAssuranceCallerNotOperator(address caller, address operator);
    error PlatformAssuranceWorkerNotActive(bytes32 workerId, IWorkerRegistryTypes.WorkerState state);
    error PlatformAssuranceRecordMismatch(bytes32 workerId, bytes32 kept, bytes32 given);
    error PlatformAssuranceCallerNotOwner(address caller, address owner);
    error PlatformAssuranceCallerNotAuditor(address caller);
    error PlatformAssuranceAuditedByOther(bytes32 platformId, address auditor);
    error PlatformAssuranceUntilOutOfRange(uint64 until, uint256 earliest, uint256 latest);
    error PlatformAssuranceTooManyAuditors(uint256 maximum);
    error PlatformAssuranceAuditorUnchanged(address auditor, bool elected);
}

/// @title IPlatformAssurance
/// @notice What people say about physical machines, beside what their evidence proves: evidence tells nothing of who
/// stands before the machine.
interface IPlatformAssurance is IPlatformAssuranceTypes, IPlatformAssuranceErrors {
    event OwnerNamed(bytes32 indexed platformId, address indexed operator, address indexed owner);
    event PlatformEndorsed(bytes32 indexed platformId, address indexed operator, address indexed owner, uint64 until);
    event PlatformAudited(bytes32 indexed platformId, address indexed auditor, uint64 until, bytes32 report);
    event AuditorSet(address indexed auditor, bool elected);

    /// @notice The operator of an active worker says who owns the machine that it runs on. Replaces what it said before,
    /// and with it the endorsement.
    /// @param record As the last WorkerRegistered event of this worker has it.
    function nameOwner(
        bytes32 workerId,
        IWorkerRegistryTypes.WorkerRecord calldata record,
        address owner
    ) external;

    /// @notice The named owner confirms that the operator runs on its machine, until a time at most MAX_DURATION away;
    /// zero takes it back.
    function endorse(bytes32 platformId, address operator, uint64 until) external;

    /// @notice An auditor states that it has looked at the machine, until a time at most MAX_DURATION away; zero takes
    /// back its own audit. A running audit of another auditor stays.
    function audit(bytes32 platformId, uint64 until, bytes32 report) external;

    /// @notice Elects or removes an auditor, at most MAX_AUDITORS at once. Timelock only.
    /// @dev What a removed auditor stated counts no more from the same block on.
    function setAuditor(address auditor, bool elected) external;

    /// @notice The highest level that holds now for an operator on a machine.
    function levelOf(bytes32 platformId, address operator) external view returns (AssuranceLevel);

    function ownershipOf(bytes32 platformId, address operator) external view returns (Ownership memory);
    function auditOf(bytes32 platformId) external view returns (Audit memory);
    function isAuditor(address auditor) external view returns (bool);
    function auditorCount() external view returns (uint256);
    function workerRegistry() external view returns (IWorkerRegistry);

    function MAX_DURATION() external view returns (uint64);
    function MAX_AUDITORS() external view returns (uint256);
}
