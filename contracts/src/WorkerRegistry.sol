// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceClaims, IEvidenceVerifier} from "./attestation/IEvidenceVerifier.sol";
import {Governed} from "./governance/Governed.sol";
import {IImageRegistry} from "./IImageRegistry.sol";
import {IWorkerRegistry} from "./IWorkerRegistry.sol";
import {BlockHashes} from "./libraries/BlockHashes.sol";
import {Ids} from "./libraries/Ids.sol";
import {ReceiptLib} from "./receipts/ReceiptLib.sol";

/// @title WorkerRegistry
contract WorkerRegistry is IWorkerRegistry, Governed {
    struct Worker {
        // ### 1st slot: all that a receipt's check needs
        address receiptSigner;
        uint40 leaseUntil;
        WorkerState state;
        uint8 kinds;
        uint8 teeType;
        uint8 attestedBy;
        bool simulated;
        // ### 2nd slot
        bytes32 recordHash;
        // ### 3rd slot: written once; registering derives the id from the caller instead of reading it
        address operator;
        uint64 index;
    }

    /// @dev One slot. 216 bits of the hash are plenty: to show another record than the one kept takes a second preimage,
    /// and who could make two records that collide would only make its own signer evictable.
    struct Replaced {
        bytes27 recordHash;
        uint40 leaseUntil;
    }

    uint32 public constant MIN_LEASE_DURATION = 1 minutes;
    uint32 public constant MAX_LEASE_DURATION = 30 days;

    uint8 private constant ALL_KINDS = 0x0f;
    /// @dev The statuses that a policy may accept: 1 to 6, all but Revoked.
    uint16 private constant ACCEPTABLE_TCB_STATUSES = 0x7e;

    /// @inheritdoc IWorkerRegistry
    IImageRegistry public immutable imageRegistry;
    uint64 public immutable genesis;
    uint32 public immutable epochLength;
    uint32 public immutable roundLength;
    uint32 public immutable maxAttestedBlockAge;
    bool public immutable simulatedAllowed;

    /// @inheritdoc IWorkerRegistry
    bytes32 public networkKeysHash;

    /// @inheritdoc IWorkerRegistry
    mapping(address signer => bytes32 workerId) public workerOf;

    /// @inheritdoc IWorkerRegistry
    mapping(address signer => uint64 blockNumber) public evictionBlockOf;

    /// @inheritdoc IWorkerRegistry
    mapping(address operator => uint64) public enrolledCount;

    mapping(uint8 teeType => TeePolicy) private _policies;
    mapping(bytes32 workerId => Worker) private _workers;
    mapping(address signer => Replaced) private _replaced;

    constructor(WorkerRegistrySettings memory settings) Governed(settings.timelock) {
        if (address(settings.imageRegistry).code.length == 0) {
            revert WorkerRegistryImageRegistryWithoutCode(address(settings.imageRegistry));
        }
        if (settings.genesis == 0) revert WorkerRegistryGenesisMissing();
        if (settings.roundLength == 0 || settings.epochLength == 0 || settings.epochLength % settings.roundLength != 0)
        {
            revert WorkerRegistryClockInvalid(settings.epochLength, settings.roundLength);
        }
        if (settings.maxAttestedBlockAge == 0 || settings.maxAttestedBlockAge > BlockHashes.HISTORY_WINDOW) {
            revert WorkerRegistryBlockAgeOutOfRange(settings.maxAttestedBlockAge, uint32(BlockHashes.HISTORY_WINDOW));
        }
        imageRegistry = settings.imageRegistry;
        genesis = settings.genesis;
        epochLength = settings.epochLength;
        roundLength = settings.roundLength;
        maxAttestedBlockAge = settings.maxAttestedBlockAge;
        simulatedAllowed = settings.simulatedAllowed;
    }

    /* WORKERS */

    /// @inheritdoc IWorkerRegistry
    function enroll() external returns (bytes32 workerId) {
        uint64 index = enrolledCount[msg.sender]++;
        workerId = workerIdOf(msg.sender, index);
        Worker storage worker = _workers[workerId];
        worker.state = WorkerState.Enrolled;
        worker.operator = msg.sender;
        worker.index = index;
        emit WorkerEnrolled(workerId, msg.sender, index);
    }

    /// @inheritdoc IWorkerRegistry
    function register(
        uint64 index,
        address receiptSigner,
        uint8 kinds,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil) {
        bytes32 workerId = workerIdOf(msg.sender, index);
        Worker storage worker = _workers[workerId];
        if (worker.state == WorkerState.Unknown) revert WorkerRegistryNotEnrolled(msg.sender, index);
        if (kinds == 0 || kinds > ALL_KINDS) revert WorkerRegistryKindsInvalid(kinds);
        _claimSigner(worker, workerId, receiptSigner);

        WorkerRecord memory record;
        record.operator = msg.sender;
        record.receiptSigner = receiptSigner;
        record.teeType = teeType;
        record.kinds = kinds;
        bytes32 evidenceHash;
        (leaseUntil, evidenceHash) = _appraise(record, attestedBlock, evidence);
        if (_keep(worker, record, leaseUntil)) {
            emit WorkerRenewed(workerId, leaseUntil, attestedBlock, evidenceHash);
        } else {
            emit WorkerRegistered(
                workerId, msg.sender, receiptSigner, record, leaseUntil, attestedBlock, evidenceHash
            );
        }
    }

    /// @inheritdoc IWorkerRegistry
    function evict(bytes32 workerId, WorkerRecord calldata record) external {
        Worker storage worker = _workers[workerId];
        WorkerState state = worker.state;
        uint64 leaseUntil = worker.leaseUntil;
        if ((state != WorkerState.Active && state != WorkerState.Retired) || leaseUntil <= block.timestamp) {
            revert WorkerRegistryNoLease(workerId, state, leaseUntil);
        }
        bytes32 given = keccak256(abi.encode(record));
        if (given != worker.recordHash) revert WorkerRegistryRecordMismatch(workerId, worker.recordHash, given);

        EvictionCause cause = _causeAgainst(workerId, record);

        worker.state = WorkerState.Evicted;
        evictionBlockOf[record.receiptSigner] = uint64(block.number);
        emit WorkerEvicted(workerId, record.receiptSigner, cause, msg.sender);
    }

    /// @inheritdoc IWorkerRegistry
    function evictReplaced(WorkerRecord calldata record) external {
        address signer = record.receiptSigner;
        Replaced memory replaced = _replaced[signer];
        if (replaced.leaseUntil == 0) revert WorkerRegistrySignerNotReplaced(signer, evictionBlockOf[signer]);
        if (replaced.leaseUntil <= block.timestamp) {
            revert WorkerRegistryReplacedLeaseEnded(signer, replaced.leaseUntil);
        }
        bytes32 workerId = workerOf[signer];
        bytes27 given = bytes27(keccak256(abi.encode(record)));
        if (given != replaced.recordHash) revert WorkerRegistryRecordMismatch(workerId, replaced.recordHash, given);

        EvictionCause cause = _causeAgainst(workerId, record);

        delete _replaced[signer];
        evictionBlockOf[signer] = uint64(block.number);
        emit ReplacedSignerEvicted(workerId, signer, cause, msg.sender);
    }

    /// @inheritdoc IWorkerRegistry
    function retire(bytes32 workerId) external {
        Worker storage worker = _workers[workerId];
        _checkOperator(workerId, worker.operator);
        if (worker.state != WorkerState.Active) revert WorkerRegistryNotActive(workerId, worker.state);
        worker.state = WorkerState.Retired;
        emit WorkerRetired(workerId, worker.receiptSigner);
    }

    /* GOVERNANCE */

    /// @inheritdoc IWorkerRegistry
    function setTeePolicy(uint8 teeType, TeePolicy calldata policy) external onlyTimelock {
        if (address(policy.verifier) != address(0) && address(policy.verifier).code.length == 0) {
            revert WorkerRegistryVerifierWithoutCode(address(policy.verifier));
        }
        if (policy.leaseDuration < MIN_LEASE_DURATION || policy.leaseDuration > MAX_LEASE_DURATION) {
            revert WorkerRegistryLeaseDurationOutOfRange(
                policy.leaseDuration, MIN_LEASE_DURATION, MAX_LEASE_DURATION
            );
        }
        if (policy.acceptedTcbStatuses == 0 || policy.acceptedTcbStatuses & ~ACCEPTABLE_TCB_STATUSES != 0) {
            revert WorkerRegistryTcbStatusesInvalid(policy.acceptedTcbStatuses);
        }
        _policies[teeType] = policy;
        emit TeePolicySet(teeType, policy);
    }

    /// @inheritdoc IWorkerRegistry
    function setNetworkKeysHash(bytes32 keysHash) external onlyTimelock {
        networkKeysHash = keysHash;
        emit NetworkKeysHashSet(keysHash);
    }

    /* VIEWS */

    /// @inheritdoc IWorkerRegistry
    function isActiveSigner(address signer) external view returns (bool active, bytes32 workerId) {
        workerId = workerOf[signer];
        Worker storage worker = _workers[workerId];
        // A signer nobody ever had leads to worker 0, whose state is Unknown for ever.
        active = worker.receiptSigner == signer && worker.state == WorkerState.Active
            && worker.leaseUntil > block.timestamp;
    }

    /// @inheritdoc IWorkerRegistry
    function statusOf(bytes32 workerId) external view returns (WorkerStatus memory) {
        Worker storage worker = _workers[workerId];
        return WorkerStatus({
            operator: worker.operator,
            receiptSigner: worker.receiptSigner,
            leaseUntil: worker.leaseUntil,
            state: worker.state,
            kinds: worker.kinds,
            teeType: worker.teeType,
            attestedBy: worker.attestedBy,
            simulated: worker.simulated,
            recordHash: worker.recordHash
        });
    }

    /// @inheritdoc IWorkerRegistry
    function replacedSignerOf(address signer) external view returns (bytes27 recordHash, uint64 leaseUntil) {
        Replaced memory replaced = _replaced[signer];
        return (replaced.recordHash, replaced.leaseUntil);
    }

    /// @inheritdoc IWorkerRegistry
    function teePolicyOf(uint8 teeType) external view returns (TeePolicy memory) {
        return _policies[teeType];
    }

    /// @inheritdoc IWorkerRegistry
    function workerIdOf(address operator, uint64 index) public view returns (bytes32 workerId) {
        return Ids.workerId(block.chainid, address(this), operator, index);
    }

    /// @inheritdoc IWorkerRegistry
    function currentEpoch() external view returns (uint64) {
        return _ticks(epochLength);
    }

    /// @inheritdoc IWorkerRegistry
    function currentRound() external view returns (uint64) {
        return _ticks(roundLength);
    }

    /// @inheritdoc IWorkerRegistry
    function domainSeparator() external view returns (bytes32) {
        return ReceiptLib.domainSeparator(block.chainid, address(this));
    }

    /// @inheritdoc IWorkerRegistry
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (
            hex"0f",
            ReceiptLib.DOMAIN_NAME,
            ReceiptLib.DOMAIN_VERSION,
            block.chainid,
            address(this),
            bytes32(0),
            new uint256[](0)
        );
    }

    /* CHECKS */

    function _checkOperator(bytes32 workerId, address operator) private view {
        if (operator == address(0)) revert WorkerRegistryWorkerUnknown(workerId);
        if (msg.sender != operator) revert WorkerRegistryCallerNotOperator(msg.sender, operator);
    }

    /// @dev A signer belongs to one worker for ever, and to it only until the next one replaces it: its sequences
    /// could repeat otherwise.
    function _claimSigner(Worker storage worker, bytes32 workerId, address receiptSigner) private {
        if (receiptSigner == address(0)) revert WorkerRegistrySignerMissing();
        address present = worker.receiptSigner;
        if (present == receiptSigner) {
            if (worker.state == WorkerState.Evicted) {
                revert WorkerRegistrySignerEvicted(receiptSigner, evictionBlockOf[receiptSigner]);
            }
            return;
        }
        bytes32 owner = workerOf[receiptSigner];
        if (owner != 0) revert WorkerRegistrySignerUsed(receiptSigner, owner);
        workerOf[receiptSigner] = workerId;

        if (present != address(0)) _keepReplaced(worker, present);
    }

    /// @dev Being replaced is no way around an eviction: the record stays within reach for as long as the lease would
    /// have run.
    function _keepReplaced(Worker storage worker, address replaced) private {
        uint40 leaseUntil = worker.leaseUntil;
        if (leaseUntil > block.timestamp && worker.state != WorkerState.Evicted) {
            _replaced[replaced] = Replaced(bytes27(worker.recordHash), leaseUntil);
        }
    }

    /// @return renewed Whether nothing but the lease has changed.
    function _keep(
        Worker storage worker,
        WorkerRecord memory record,
        uint64 leaseUntil
    ) private returns (bool renewed) {
        bytes32 recordHash = keccak256(abi.encode(record));
        renewed = worker.state == WorkerState.Active && worker.recordHash == recordHash;
        // A running lease can be evicted for its machine, so that its renewals need not pay for the question.
        if (
            (!renewed || worker.leaseUntil <= block.timestamp) && imageRegistry.isPlatformBlocked(record.platformId)
        ) revert WorkerRegistryPlatformBlocked(record.platformId);
        if (!renewed) worker.recordHash = recordHash;
        worker.receiptSigner = record.receiptSigner;
        // No truncation: at most now + MAX_LEASE_DURATION.
        worker.leaseUntil = uint40(leaseUntil);
        worker.state = WorkerState.Active;
        worker.kinds = record.kinds;
        worker.teeType = record.teeType;
        worker.attestedBy = record.attestedBy;
        worker.simulated = record.simulated;
    }

    /// @dev Verifies the evidence, then holds its claims against the record and the network's policy, and completes
    /// the record by them. The order: what is cheap to refuse, genuineness, binding, freshness, policy.
    function _appraise(
        WorkerRecord memory record,
        uint64 attestedBlock,
        bytes calldata evidence
    ) private returns (uint64 leaseUntil, bytes32 evidenceHash) {
        bytes32 attestedHash = _hashOf(attestedBlock);

        TeePolicy memory policy = _policies[record.teeType];
        if (address(policy.verifier) == address(0)) revert WorkerRegistryVerifierMissing(record.teeType);
        EvidenceClaims memory claims = policy.verifier.verify(evidence);
        if (claims.teeType != record.teeType) revert WorkerRegistryTeeTypeMismatch(record.teeType, claims.teeType);

        bytes32 keysHash = networkKeysHash;
        bytes32 binding =
            Ids.workerBinding(block.chainid, address(this), record.operator, record.receiptSigner, keysHash);
        if (claims.reportDataHead != binding) revert WorkerRegistryBindingMismatch(binding, claims.reportDataHead);
        if (claims.reportDataTail != attestedHash) {
            revert WorkerRegistryBlockHashMismatch(attestedBlock, attestedHash, claims.reportDataTail);
        }

        if (claims.debug) revert WorkerRegistryDebugRefused();
        if (claims.simulated && !simulatedAllowed) revert WorkerRegistrySimulatedRefused();
        if (!_isAccepted(claims.tcbStatus, policy.acceptedTcbStatuses)) {
            revert WorkerRegistryTcbNotAccepted(claims.tcbStatus, policy.acceptedTcbStatuses);
        }
        if (claims.tcbEvaluationDataNumber < policy.minimumTcbEvaluationDataNumber) {
            revert WorkerRegistryTcbEvaluationTooOld(
                claims.tcbEvaluationDataNumber, policy.minimumTcbEvaluationDataNumber
            );
        }
        (bool imageAllowed, bool configAllowed) = imageRegistry.areAllowed(claims.imageId, claims.configId);
        if (!imageAllowed) revert WorkerRegistryImageNotAllowed(claims.imageId);
        if (!configAllowed) revert WorkerRegistryConfigNotAllowed(claims.configId);
        if (claims.validUntil <= block.timestamp) {
            revert WorkerRegistryEvidenceExpired(claims.validUntil, block.timestamp);
        }

        uint256 policyEnd = block.timestamp + policy.leaseDuration;
        leaseUntil = claims.validUntil < policyEnd ? claims.validUntil : uint64(policyEnd);
        evidenceHash = claims.evidenceHash;
        record.attestedBy = claims.attestedBy;
        record.simulated = claims.simulated;
        record.imageId = claims.imageId;
        record.configId = claims.configId;
        record.platformId = claims.platformId;
        record.platformKey = claims.platformKey;
        record.tcb = claims.tcb;
        record.networkKeysHash = keysHash;
    }

    /// @dev Why a registration may not go on, under images, collateral and policy of now. Reverts where it may.
    function _causeAgainst(bytes32 workerId, WorkerRecord calldata record) private view returns (EvictionCause) {
        (bool imageAllowed, bool configAllowed) = imageRegistry.areAllowed(record.imageId, record.configId);
        if (!imageAllowed) return EvictionCause.ImageNotAllowed;
        if (!configAllowed) return EvictionCause.ConfigNotAllowed;
        if (imageRegistry.isPlatformBlocked(record.platformId)) return EvictionCause.PlatformBlocked;
        TeePolicy memory policy = _policies[record.teeType];
        if (address(policy.verifier) != address(0)) {
            (uint8 status, uint32 evaluation,) = policy.verifier.recheck(record.platformKey, record.tcb);
            if (
                !_isAccepted(status, policy.acceptedTcbStatuses) || evaluation < policy.minimumTcbEvaluationDataNumber
            ) return EvictionCause.TcbNotAccepted;
        }
        revert WorkerRegistryNoCause(workerId);
    }

    function _isAccepted(uint8 tcbStatus, uint16 accepted) private pure returns (bool) {
        return (uint256(accepted) >> tcbStatus) & 1 == 1;
    }

    function _hashOf(uint64 attestedBlock) private view returns (bytes32 attestedHash) {
        uint256 oldest = block.number > maxAttestedBlockAge ? block.number - maxAttestedBlockAge : 0;
        if (attestedBlock < oldest) revert WorkerRegistryBlockTooOld(attestedBlock, oldest);
        attestedHash = BlockHashes.tryGet(attestedBlock);
        if (attestedHash == 0) revert WorkerRegistryBlockUnknown(attestedBlock, block.number);
    }

    function _ticks(uint32 length) private view returns (uint64) {
        return block.timestamp <= genesis ? 0 : uint64((block.timestamp - genesis) / length);
    }
}
