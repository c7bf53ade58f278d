// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEvidenceVerifier} from "./attestation/IEvidenceVerifier.sol";
import {IImageRegistry} from "./IImageRegistry.sol";

interface IWorkerRegistryTypes {
    /// @notice What a registry is for ever.
    /// @param timelock The TimelockController that governs it.
    /// @param imageRegistry Where images and network files are allowed.
    /// @param genesis Unix seconds at which epoch 0 and round 0 begin.
    /// @param epochLength Seconds, a multiple of roundLength.
    /// @param roundLength Seconds.
    /// @param maxAttestedBlockAge Blocks, 1 to 8,191. Warning: beyond 256 only where the chain has EIP-2935.
    /// @param simulatedAllowed Whether evidence of a simulated TEE is accepted.
    struct WorkerRegistrySettings {
        address timelock;
        IImageRegistry imageRegistry;
        uint64 genesis;
        uint32 epochLength;
        uint32 roundLength;
        uint32 maxAttestedBlockAge;
        bool simulatedAllowed;
    }

    /// @notice What evidence of one TEE type must meet, besides being genuine.
    /// @param verifier Who verifies it; the zero address takes no registrations of the type.
    /// @param leaseDuration Seconds that a lease lasts at most.
    /// @param acceptedTcbStatuses Bit n accepts the TCB status n of {EvidenceClaims}: 0x06 is UpToDate and
    /// SWHardeningNeeded. Never Revoked.
    /// @param minimumTcbEvaluationDataNumber Verdicts by older data are refused.
    struct TeePolicy {
        IEvidenceVerifier verifier;
        uint32 leaseDuration;
        uint16 acceptedTcbStatuses;
        uint32 minimumTcbEvaluationDataNumber;
    }

    /// @notice Unknown: no such id. Enrolled: has an id, never registered. Active: registered; holds while its lease
    /// runs. Evicted: lost its registration for cause. Retired: left by its operator's wish.
    enum WorkerState {
        Unknown,
        Enrolled,
        Active,
        Evicted,
        Retired
    }

    /// @notice Why a worker was evicted.
    enum EvictionCause {
        ImageNotAllowed,
        ConfigNotAllowed,
        TcbNotAccepted,
        PlatformBlocked
    }

    /// @notice What a registration states and a renewal leaves as it is. The registry keeps its hash, the event
    /// WorkerRegistered the rest.
    /// @param kinds Bit 0 function, 1 wasm, 2 model, 3 container.
    /// @param attestedBy 1 this chain verified the evidence itself, 2 the committee did and signed the result.
    /// @param platformId The physical machine; several workers may share it.
    /// @param platformKey, tcb What the TCB verdict rests on, for {IEvidenceVerifier.recheck}.
    /// @param networkKeysHash The committee's keys that the evidence is bound to, zero before they existed.
    struct WorkerRecord {
        address operator;
        address receiptSigner;
        uint8 teeType;
        uint8 kinds;
        uint8 attestedBy;
        bool simulated;
        bytes32 imageId;
        bytes32 configId;
        bytes32 platformId;
        bytes32 platformKey;
        bytes32 tcb;
        bytes32 networkKeysHash;
    }

    /// @param leaseUntil Unix seconds; the lease counts only while state is Active.
    struct WorkerStatus {
        address operator;
        address receiptSigner;
        uint64 leaseUntil;
        WorkerState state;
        uint8 kinds;
        uint8 teeType;
        uint8 attestedBy;
        bool simulated;
        bytes32 recordHash;
    }
}

interface IWorkerRegistryErrors {
    /// Settings
    error WorkerRegistryImageRegistryWithoutCode(address imageRegistry);
    error WorkerRegistryGenesisMissing();
    error WorkerRegistryClockInvalid(uint32 epochLength, uint32 roundLength);
    error WorkerRegistryBlockAgeOutOfRange(uint32 blocks, uint32 maximum);
    error WorkerRegistryLeaseDurationOutOfRange(uint32 duration, uint32 minimum, uint32 maximum);
    error WorkerRegistryVerifierWithoutCode(address verifier);
    error WorkerRegistryTcbStatusesInvalid(uint16 acceptedTcbStatuses);

    /// Caller
    error WorkerRegistryWorkerUnknown(bytes32 workerId);
    error WorkerRegistryCallerNotOperator(address caller, address operator);

    /// Registration
    error WorkerRegistryNotEnrolled(address operator, uint64 index);
    error WorkerRegistrySignerMissing();
    error WorkerRegistrySignerUsed(address receiptSigner, bytes32 workerId);
    error WorkerRegistrySignerEvicted(address receiptSigner, uint64 blockNumber);
    error WorkerRegistryKindsInvalid(uint8 kinds);
    error WorkerRegistryBlockTooOld(uint64 attestedBlock, uint256 oldest);
    error WorkerRegistryBlockUnknown(uint64 attestedBlock, uint256 blockNumber);
    error WorkerRegistryVerifierMissing(uint8 teeType);
    error WorkerRegistryTeeTypeMismatch(uint8 stated, uint8 verified);
    error WorkerRegistrySimulatedRefused();
    error WorkerRegistryDebugRefused();
    error WorkerRegistryBindingMismatch(bytes32 expected, bytes32 reported);
    error WorkerRegistryBlockHashMismatch(uint64 attestedBlock, bytes32 expected, bytes32 reported);
    error WorkerRegistryImageNotAllowed(bytes32 imageId);
    error WorkerRegistryConfigNotAllowed(bytes32 configId);
    error WorkerRegistryPlatformBlocked(bytes32 platformId);
    error WorkerRegistryTcbNotAccepted(uint8 tcbStatus, uint16 acceptedTcbStatuses);
    error WorkerRegistryTcbEvaluationTooOld(uint32 tcbEvaluationDataNumber, uint32 minimum);
    error WorkerRegistryEvidenceExpired(uint64 validUntil, uint256 timestamp);

    /// Eviction, retirement
    error WorkerRegistryRecordMismatch(bytes32 workerId, bytes32 kept, bytes32 given);
    error WorkerRegistryNoLease(bytes32 workerId, IWorkerRegistryTypes.WorkerState state, uint64 leaseUntil);
    error WorkerRegistryNoCause(bytes32 workerId);
    error WorkerRegistrySignerNotReplaced(address receiptSigner, uint64 evictionBlock);
    error WorkerRegistryReplacedLeaseEnded(address receiptSigner, uint64 leaseUntil);
    error WorkerRegistryNotActive(bytes32 workerId, IWorkerRegistryTypes.WorkerState state);
}

interface IWorkerRegistryEvents {
    event WorkerEnrolled(bytes32 indexed workerId, address indexed operator, uint64 index);

    /// @notice A registration, or one anew with another signer or other facts: the record replaces any before it.
    /// @param leaseUntil Unix seconds.
    /// @param attestedBlock The block whose hash the evidence holds.
    event WorkerRegistered(
        bytes32 indexed workerId,
        address indexed operator,
        address indexed receiptSigner,
        IWorkerRegistryTypes.WorkerRecord record,
        uint64 leaseUntil,
        uint64 attestedBlock,
        bytes32 evidenceHash
    );

    /// @notice Fresh evidence of the same facts: the record stands, the lease runs on.
    event WorkerRenewed(bytes32 indexed workerId, uint64 leaseUntil, uint64 attestedBlock, bytes32 evidenceHash);

    event WorkerEvicted(
        bytes32 indexed workerId,
        address indexed receiptSigner,
        IWorkerRegistryTypes.EvictionCause cause,
        address evictedBy
    );

    /// @notice A signer that its worker had replaced before. The worker's present registration stands.
    event ReplacedSignerEvicted(
        bytes32 indexed workerId,
        address indexed receiptSigner,
        IWorkerRegistryTypes.EvictionCause cause,
        address evictedBy
    );

    event WorkerRetired(bytes32 indexed workerId, address indexed receiptSigner);
    event TeePolicySet(uint8 indexed teeType, IWorkerRegistryTypes.TeePolicy policy);
    event NetworkKeysHashSet(bytes32 networkKeysHash);
}

/// @title IWorkerRegistry
/// @notice Who may sign receipts: workers whose evidence held, for as long as their lease runs.
/// @dev It is also the verifying contract of every EIP-712 record of the network: name "Cloister", version "1".
interface IWorkerRegistry is IWorkerRegistryTypes, IWorkerRegistryErrors, IWorkerRegistryEvents {
    /* WORKERS */

    /// @notice Gives the caller its next worker id. Anyone.
    /// @return workerId H("cloister/worker-id: v1", chainId, registry, operator, index), kept over restarts.
    function enroll() external returns (bytes32 workerId);

    /// @notice Registers the caller's worker, renews its lease (same signer) or replaces its signer after a restart.
    /// @param index Which of the caller's enrolled workers.
    /// @param receiptSigner The enclave's key. Never one that another worker, or this one before its present key, had.
    /// @param kinds Bit 0 function, 1 wasm, 2 model, 3 container; at least one.
    /// @param attestedBlock The block whose hash stands in the second half of report_data.
    /// @param teeType 1 SGX, 2 TDX, 3 SEV-SNP, 4 Nitro.
    /// @param evidence In the form that the verifier of teeType reads; its own errors pass through.
    /// @return leaseUntil The earlier of now + the policy's leaseDuration and the end of the collateral, unix seconds.
    /// @dev Warning: a node that simulates calls on its newest block does not know that block's hash. Attest the block
    /// before it, or simulate on "pending".
    function register(
        uint64 index,
        address receiptSigner,
        uint8 kinds,
        uint64 attestedBlock,
        uint8 teeType,
        bytes calldata evidence
    ) external returns (uint64 leaseUntil);

    /// @notice Ends a running lease whose image or network file is no longer allowed, whose machine is refused, or whose TCB is no longer accepted
    /// under the collateral and the policy of now. Anyone.
    /// @param record As the last WorkerRegistered event of this worker has it.
    /// @dev The signer is dead for ever; the worker may register again with a new one and evidence that holds.
    /// Collateral that has merely ended is no cause: no lease outlives it. The verifier's own errors pass through.
    /// A retired worker can be evicted until its lease would have ended: leaving is no way around it.
    function evict(bytes32 workerId, WorkerRecord calldata record) external;

    /// @notice Evicts a signer that its worker has replaced, where {evict} would have found a cause had it not been. Anyone.
    /// @param record As the last WorkerRegistered event of that signer has it.
    /// @dev The rule in time is that of a retired worker: until the end of the lease that the signer had when it was
    /// replaced. Whoever had no running lease then, or was evicted, is not kept. The signer signs nothing that counts
    /// anyway; what this adds is {evictionBlockOf}, by which what it signed before is judged. The worker's present
    /// registration stands: {evict} is for that.
    /// Reverts with WorkerRegistryRecordMismatch in which both hashes are cut to the 27 bytes that are kept.
    function evictReplaced(WorkerRecord calldata record) external;

    /// @notice Leaves; the signer stops being active at once. Its operator.
    /// @dev The worker may register again later.
    function retire(bytes32 workerId) external;

    /* GOVERNANCE */

    /// @notice Sets what evidence of a TEE type must meet from now on. Timelock only.
    /// @param policy leaseDuration between MIN_LEASE_DURATION and MAX_LEASE_DURATION.
    /// @dev Warning: running leases that no longer meet it end only when somebody calls {evict}.
    function setTeePolicy(uint8 teeType, TeePolicy calldata policy) external;

    /// @notice H(appsPublicKey, beaconPublicKey) that evidence must be bound to from now on. Timelock only.
    /// @dev Warning: leases bound to another value run on.
    function setNetworkKeysHash(bytes32 keysHash) external;

    /* VIEWS */

    /// @notice Whether receipts of this signer hold at present, and whose it is. Two storage reads.
    function isActiveSigner(address signer) external view returns (bool active, bytes32 workerId);

    /// @notice The worker that has, or once had, this signer; zero where none ever did.
    function workerOf(address signer) external view returns (bytes32 workerId);

    function statusOf(bytes32 workerId) external view returns (WorkerStatus memory);

    /// @notice What {evictReplaced} goes by: the first 27 bytes of the replaced signer's record hash, and the end of its
    /// lease in unix seconds. Zero where the signer was never replaced under a running lease, or was evicted since.
    function replacedSignerOf(address signer) external view returns (bytes27 recordHash, uint64 leaseUntil);

    /// @notice The block in which this signer was evicted for cause, or zero.
    function evictionBlockOf(address signer) external view returns (uint64 blockNumber);

    /// @notice How many ids this operator has; the next index.
    function enrolledCount(address operator) external view returns (uint64);

    function workerIdOf(address operator, uint64 index) external view returns (bytes32 workerId);

    /// @notice The epoch of the present block's timestamp, 0 before genesis.
    function currentEpoch() external view returns (uint64);

    /// @notice The round of the present block's timestamp, 0 before genesis.
    function currentRound() external view returns (uint64);

    /// @notice The EIP-712 domain separator of the network's records.
    function domainSeparator() external view returns (bytes32);

    /// @notice The parts of that domain, as ERC-5267 has them.
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
        );

    function teePolicyOf(uint8 teeType) external view returns (TeePolicy memory);
    function networkKeysHash() external view returns (bytes32);

    function imageRegistry() external view returns (IImageRegistry);
    function genesis() external view returns (uint64);
    function epochLength() external view returns (uint32);
    function roundLength() external view returns (uint32);
    function maxAttestedBlockAge() external view returns (uint32);
    function simulatedAllowed() external view returns (bool);

    function MIN_LEASE_DURATION() external view returns (uint32);
    function MAX_LEASE_DURATION() external view returns (uint32);
}
