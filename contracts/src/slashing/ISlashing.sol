// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {IDepositBond} from "../governance/IDepositBond.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {IGatekeeperCommittee} from "../governance/IGatekeeperCommittee.sol";
import {Receipt} from "../receipts/ReceiptLib.sol";
import {IWorkerBonds} from "../staking/IWorkerBonds.sol";

interface ISlashingTypes {
    /// @notice What can be punished. Equivocation: two different receipts of one signer, channel and sequence.
    /// TwoRecords: two different epoch records of one gatekeeper for one epoch and attempt. Both are proven to the chain
    /// itself. The others are judged: a wrong result of a deterministic app, silence in a job whose input was there,
    /// downtime.
    enum Offence {
        Equivocation,
        TwoRecords,
        WrongResult,
        Silence,
        Downtime
    }

    enum CaseState {
        None,
        Open,
        Settled,
        Vetoed
    }

    /// @notice What this contract is for ever. Windows in seconds; together at most the pools' `unbonding`.
    /// @param detectionWindow From an offence to somebody's noticing it.
    /// @param proofWindow From there to the report.
    /// @param vetoWindow From the report to its end; at most the pools' `maxPause`.
    /// @param treasury Gets what the reporter does not. Governed later, as is the next.
    /// @param reporterBps The reporter's part, at most MAX_REPORTER_BPS.
    struct SlashingSettings {
        address timelock;
        IWorkerBonds workerBonds;
        uint32 detectionWindow;
        uint32 proofWindow;
        uint32 vetoWindow;
        address treasury;
        uint16 reporterBps;
    }

    /// @param settleFrom Unix seconds at which the veto window ends.
    /// @param subject The worker's id; the operator for a gatekeeper.
    /// @param amount In escrow here while the case is open, in the smallest unit of PHA.
    /// @param seizureId In {StakePools}; nothing for a gatekeeper.
    /// @param bond Whence a gatekeeper's bond came; the zero address for a worker's.
    /// @param evidenceHash For proofs of the two digests, the lower one first; for judgements of the evidence's bytes.
    struct Case {
        // ### 1st slot
        Offence offence;
        CaseState state;
        uint40 settleFrom;
        address reporter;
        // ### 2nd slot
        address operator;
        // ### 3rd slot
        bytes32 subject;
        // ### 4th slot
        uint128 amount;
        uint128 seizureId;
        // ### 5th slot
        IDepositBond bond;
        // ### 6th slot
        bytes32 evidenceHash;
    }
}

interface ISlashingErrors {
    /// Settings
    error SlashingWithoutCode(address account);
    error SlashingWindowMissing();
    error SlashingUnbondingTooShort(uint256 windows, uint256 unbonding);
    error SlashingPauseTooShort(uint256 vetoWindow, uint256 maxPause);
    error SlashingShareOutOfRange(uint256 bps, uint256 minimum, uint256 maximum);
    error SlashingTreasuryMissing();
    error SlashingTokenMismatch(IERC20 token, IERC20 expected);

    /// Reports
    error SlashingSignersDiffer(address first, address second);
    error SlashingNotSameSequence();
    error SlashingNotSameAttempt();
    error SlashingSameDigest(bytes32 digest);
    error SlashingSignerUnknown(address signer);
    error SlashingReportedBefore(bytes32 caseId, ISlashingTypes.CaseState state);
    error SlashingNothingAtStake(bytes32 subject);
    error SlashingCallerNotJudge(address caller);
    error SlashingNotJudged(ISlashingTypes.Offence offence);
    error SlashingOutOfTime(uint256 occurredAt, uint256 earliest, uint256 timestamp);
    error SlashingEvidenceLength(uint256 length, uint256 maximum);

    /// Cases
    error SlashingNotOpen(bytes32 caseId, ISlashingTypes.CaseState state);
    error SlashingWindowRuns(uint256 settleFrom, uint256 timestamp);
    error SlashingWindowOver(uint256 settleFrom, uint256 timestamp);
    error SlashingCallerMayNotVeto(address caller, ISlashingTypes.Offence offence);
}

interface ISlashingEvents {
    event CaseOpened(
        bytes32 indexed caseId,
        address indexed operator,
        bytes32 indexed subject,
        ISlashingTypes.Offence offence,
        address reporter,
        uint256 amount,
        uint40 settleFrom,
        bytes32 evidenceHash
    );

    /// @notice The proof of a case; receipts or records and their signatures are the transaction's calldata.
    event ProofShown(bytes32 indexed caseId, address indexed signer, bytes32 firstDigest, bytes32 secondDigest);

    /// @param occurredAt Unix seconds.
    event JudgementShown(bytes32 indexed caseId, address indexed judge, uint64 occurredAt, bytes evidence);
    event CaseSettled(bytes32 indexed caseId, uint256 toReporter, uint256 toTreasury);
    event CaseVetoed(bytes32 indexed caseId, address vetoer);
    event OffenceShareSet(ISlashingTypes.Offence offence, uint16 bps);
    event JudgeSet(address indexed judge, bool elected);
    event GuardianSet(address guardian);
    event TreasurySet(address treasury);
    event ReporterShareSet(uint16 bps);
    event GatekeeperSourcesSet(IEpochRecords epochRecords, IGatekeeperCommittee committee, IDepositBond bond);
}

/// @title ISlashing
/// @notice The one door for faults. A report moves a share of what the offender has at stake here at once; a window
/// later anyone settles it: a part for the reporter, the rest for the treasury. Until then it can be vetoed, and goes back.
/// @dev Warning: who sees a proof in the mempool can report it first and get the reporter's part. Send it where that is
/// not seen, or do without. An operator that reports itself gets at most that part of its own loss.
interface ISlashing is ISlashingTypes, ISlashingErrors, ISlashingEvents {
    /* REPORTS */

    /// @notice Punishes a worker for two different receipts of one signer, channel and sequence. Anyone; each signer once.
    /// @param firstSignature, secondSignature 65 bytes r ‖ s ‖ v, low s.
    /// @dev In the domain of the registry of now; a signer that was replaced since counts as any other. What the worker
    /// has at stake now is lost, so a worker that stopped `unbonding` ago is out of reach.
    function reportEquivocation(
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external returns (bytes32 caseId);

    /// @notice Punishes a gatekeeper for two different records of one epoch and attempt. Anyone; each signer once.
    /// @dev Signers that were replaced since count: the committee knows each one's operator for ever.
    function reportTwoRecords(
        EpochRecord calldata first,
        bytes calldata firstSignature,
        EpochRecord calldata second,
        bytes calldata secondSignature
    ) external returns (bytes32 caseId);

    /// @notice Punishes a worker for what a judge found. Judges only; each evidence once.
    /// @param occurredAt Unix seconds, at most detection and proof windows ago.
    /// @param reporter Who gets the reporter's part; the zero address for nobody.
    /// @param evidence What it rests on, at most MAX_EVIDENCE_LENGTH bytes.
    function reportJudged(
        Offence offence,
        bytes32 workerId,
        uint64 occurredAt,
        address reporter,
        bytes calldata evidence
    ) external returns (bytes32 caseId);

    /* CASES */

    /// @notice Ends a case whose window is over. Anyone.
    /// @dev The reporter's part is rounded down.
    function settle(bytes32 caseId) external;

    /// @notice Takes a case back within its window: what was taken returns. The timelock; of judgements also the guardian.
    /// @dev The same evidence can't be reported again.
    function veto(bytes32 caseId) external;

    /* GOVERNANCE: timelock only */

    /// @notice What an offence costs, in ten-thousandths of what is at stake, within {shareBounds}.
    function setOffenceShare(Offence offence, uint16 bps) external;
    function setJudge(address judge, bool elected) external;

    /// @notice Who may veto judgements; the zero address: the timelock alone.
    function setGuardian(address guardian) external;
    function setTreasury(address treasury) external;
    function setReporterShare(uint16 bps) external;

    /// @notice Where gatekeepers' records and bonds are. The bond's withdrawals must take as long as all windows.
    function setGatekeeperSources(IEpochRecords epochRecords, IDepositBond bond) external;

    /* VIEWS */

    function caseOf(bytes32 caseId) external view returns (Case memory);

    /// @param subject Of proofs the signer, of judgements the worker's id.
    /// @param evidenceHash Of judgements; zero for proofs.
    function caseIdOf(
        Offence offence,
        bytes32 subject,
        bytes32 evidenceHash
    ) external pure returns (bytes32);
    function offenceShare(Offence offence) external view returns (uint16);
    function shareBounds(Offence offence) external pure returns (uint16 minimum, uint16 maximum);
    function isJudge(address account) external view returns (bool);
    function guardian() external view returns (address);
    function treasury() external view returns (address);
    function reporterBps() external view returns (uint16);
    function workerBonds() external view returns (IWorkerBonds);
    function token() external view returns (IERC20);
    function epochRecords() external view returns (IEpochRecords);
    function committee() external view returns (IGatekeeperCommittee);
    function gatekeeperBond() external view returns (IDepositBond);
    function detectionWindow() external view returns (uint32);
    function proofWindow() external view returns (uint32);
    function vetoWindow() external view returns (uint32);
    function MAX_REPORTER_BPS() external view returns (uint16);
    function MAX_EVIDENCE_LENGTH() external view returns (uint256);
}
