// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governed} from "./governance/Governed.sol";
import {IPlatformAssurance} from "./IPlatformAssurance.sol";
import {IWorkerRegistry, IWorkerRegistryTypes} from "./IWorkerRegistry.sol";

/// @title PlatformAssurance
contract PlatformAssurance is IPlatformAssurance, Governed {
    uint64 public constant MAX_DURATION = 730 days;
    uint256 public constant MAX_AUDITORS = 32;

    /// @inheritdoc IPlatformAssurance
    IWorkerRegistry public immutable workerRegistry;

    /// @inheritdoc IPlatformAssurance
    uint256 public auditorCount;

    /// @inheritdoc IPlatformAssurance
    mapping(address auditor => bool) public isAuditor;

    mapping(bytes32 platformId => mapping(address operator => Ownership)) private _ownerships;
    mapping(bytes32 platformId => Audit) private _audits;

    constructor(address timelock_, IWorkerRegistry workerRegistry_) Governed(timelock_) {
        if (address(workerRegistry_).code.length == 0) {
            revert PlatformAssuranceRegistryWithoutCode(address(workerRegistry_));
        }
        workerRegistry = workerRegistry_;
    }

    /// @inheritdoc IPlatformAssurance
    function nameOwner(
        bytes32 workerId,
        IWorkerRegistryTypes.WorkerRecord calldata record,
        address owner
    ) external {
        if (owner == address(0)) revert PlatformAssuranceZeroOwner();
        if (record.operator != msg.sender) revert PlatformAssuranceCallerNotOperator(msg.sender, record.operator);
        IWorkerRegistryTypes.WorkerStatus memory status = workerRegistry.statusOf(workerId);
        if (status.state != IWorkerRegistryTypes.WorkerState.Active || status.leaseUntil <= block.timestamp) {
            revert PlatformAssuranceWorkerNotActive(workerId, status.state);
        }
        bytes32 given = keccak256(abi.encode(record));
        if (given != status.recordHash) revert PlatformAssuranceRecordMismatch(workerId, status.recordHash, given);
        _ownerships[record.platformId][msg.sender] = Ownership({owner: owner, endorsedUntil: 0});
        emit OwnerNamed(record.platformId, msg.sender, owner);
    }

    /// @inheritdoc IPlatformAssurance
    function endorse(bytes32 platformId, address operator, uint64 until) external {
        Ownership storage ownership = _ownerships[platformId][operator];
        if (msg.sender != ownership.owner) revert PlatformAssuranceCallerNotOwner(msg.sender, ownership.owner);
        _checkUntil(until);
        ownership.endorsedUntil = until;
        emit PlatformEndorsed(platformId, operator, msg.sender, until);
    }

    /// @inheritdoc IPlatformAssurance
    function audit(bytes32 platformId, uint64 until, bytes32 report) external {
        if (!isAuditor[msg.sender]) revert PlatformAssuranceCallerNotAuditor(msg.sender);
        _checkUntil(until);
        Audit storage known = _audits[platformId];
        if (known.auditor != msg.sender && _holds(known)) {
            revert PlatformAssuranceAuditedByOther(platformId, known.auditor);
        }
        _audits[platformId] = Audit({auditor: msg.sender, until: until, report: report});
        emit PlatformAudited(platformId, msg.sender, until, report);
    }

    /// @inheritdoc IPlatformAssurance
    function setAuditor(address auditor, bool elected) external onlyTimelock {
        if (isAuditor[auditor] == elected) revert PlatformAssuranceAuditorUnchanged(auditor, elected);
        if (elected && auditorCount == MAX_AUDITORS) revert PlatformAssuranceTooManyAuditors(MAX_AUDITORS);
        isAuditor[auditor] = elected;
        auditorCount = elected ? auditorCount + 1 : auditorCount - 1;
        emit AuditorSet(auditor, elected);
    }

    /// @inheritdoc IPlatformAssurance
    function levelOf(bytes32 platformId, address operator) external view returns (AssuranceLevel) {
        if (_holds(_audits[platformId])) return AssuranceLevel.Audited;
        Ownership storage ownership = _ownerships[platformId][operator];
        if (ownership.endorsedUntil > block.timestamp) return AssuranceLevel.OwnerEndorsed;
        return ownership.owner == address(0) ? AssuranceLevel.None : AssuranceLevel.SelfAsserted;
    }

    /// @inheritdoc IPlatformAssurance
    function ownershipOf(bytes32 platformId, address operator) external view returns (Ownership memory) {
        return _ownerships[platformId][operator];
    }

    /// @inheritdoc IPlatformAssurance
    function auditOf(bytes32 platformId) external view returns (Audit memory) {
        return _audits[platformId];
    }

    function _holds(Audit storage known) private view returns (bool) {
        return known.until > block.timestamp && isAuditor[known.auditor];
    }

    /// @dev Zero takes back; anything else lies ahead, within MAX_DURATION.
    function _checkUntil(uint64 until) private view {
        uint256 latest = block.timestamp + MAX_DURATION;
        if (until != 0 && (until <= block.timestamp || until > latest)) {
            revert PlatformAssuranceUntilOutOfRange(until, block.timestamp + 1, latest);
        }
    }
}
