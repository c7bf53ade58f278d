// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {EpochRecord} from "../governance/EpochRecordLib.sol";
import {Governed} from "../governance/Governed.sol";
import {IDepositBond} from "../governance/IDepositBond.sol";
import {IEpochRecords} from "../governance/IEpochRecords.sol";
import {IGatekeeperCommittee} from "../governance/IGatekeeperCommittee.sol";
import {IWorkerRegistry} from "../IWorkerRegistry.sol";
import {Receipt, ReceiptLib} from "../receipts/ReceiptLib.sol";
import {IStakePools} from "../staking/IStakePools.sol";
import {IWorkerBonds} from "../staking/IWorkerBonds.sol";
import {ISlashing} from "./ISlashing.sol";

/// @title Slashing
contract Slashing is ISlashing, Governed {
    using SafeERC20 for IERC20;

    uint256 private constant BPS = 10_000;

    /// @inheritdoc ISlashing
    uint16 public constant MAX_REPORTER_BPS = 1_000;

    /// @inheritdoc ISlashing
    uint256 public constant MAX_EVIDENCE_LENGTH = 8_192;

    /// @inheritdoc ISlashing
    IWorkerBonds public immutable workerBonds;

    /// @inheritdoc ISlashing
    IERC20 public immutable token;

    /// @inheritdoc ISlashing
    uint32 public immutable detectionWindow;

    /// @inheritdoc ISlashing
    uint32 public immutable proofWindow;

    /// @inheritdoc ISlashing
    uint32 public immutable vetoWindow;

    IStakePools private immutable _pools;

    /// @inheritdoc ISlashing
    address public treasury;

    /// @inheritdoc ISlashing
    uint16 public reporterBps;

    /// @inheritdoc ISlashing
    address public guardian;

    /// @inheritdoc ISlashing
    IEpochRecords public epochRecords;

    /// @inheritdoc ISlashing
    IGatekeeperCommittee public committee;

    /// @inheritdoc ISlashing
    IDepositBond public gatekeeperBond;

    /// @inheritdoc ISlashing
    mapping(Offence offence => uint16) public offenceShare;

    /// @inheritdoc ISlashing
    mapping(address account => bool) public isJudge;

    mapping(bytes32 caseId => Case) private _cases;

    constructor(SlashingSettings memory settings) Governed(settings.timelock) {
        if (address(settings.workerBonds).code.length == 0) revert SlashingWithoutCode(address(settings.workerBonds));
        workerBonds = settings.workerBonds;
        _pools = settings.workerBonds.pools();
        token = _pools.token();
        detectionWindow = settings.detectionWindow;
        proofWindow = settings.proofWindow;
        vetoWindow = settings.vetoWindow;
        if (settings.detectionWindow == 0 || settings.proofWindow == 0 || settings.vetoWindow == 0) {
            revert SlashingWindowMissing();
        }
        // What an offender has must still be there when its offence is found, shown and let stand.
        _checkReach(_pools.unbonding());
        uint256 maxPause = _pools.maxPause();
        if (settings.vetoWindow > maxPause) revert SlashingPauseTooShort(settings.vetoWindow, maxPause);
        _setTreasury(settings.treasury);
        _setReporterShare(settings.reporterBps);
        _setOffenceShare(Offence.Equivocation, 10_000);
        _setOffenceShare(Offence.TwoRecords, 10_000);
        _setOffenceShare(Offence.WrongResult, 3_000);
        _setOffenceShare(Offence.Silence, 500);
        _setOffenceShare(Offence.Downtime, 50);
    }

    /* REPORTS */

    /// @inheritdoc ISlashing
    function reportEquivocation(
        Receipt calldata first,
        bytes calldata firstSignature,
        Receipt calldata second,
        bytes calldata secondSignature
    ) external returns (bytes32 caseId) {
        if (first.channel != second.channel || first.sequence != second.sequence) revert SlashingNotSameSequence();
        IWorkerRegistry registry = workerBonds.registry();
        bytes32 separator = registry.domainSeparator();
        bytes32 firstDigest = ReceiptLib.digest(first, separator);
        bytes32 secondDigest = ReceiptLib.digest(second, separator);
        address signer = _signerOfBoth(firstDigest, firstSignature, secondDigest, secondSignature);
        bytes32 workerId = registry.workerOf(signer);
        if (workerId == 0) revert SlashingSignerUnknown(signer);

        Case memory opened;
        opened.offence = Offence.Equivocation;
        opened.reporter = msg.sender;
        opened.evidenceHash = Hashes.commutativeKeccak256(firstDigest, secondDigest);
        caseId = caseIdOf(Offence.Equivocation, _wordOf(signer), 0);
        _openForWorker(caseId, opened, workerId);
        emit ProofShown(caseId, signer, firstDigest, secondDigest);
    }

    /// @inheritdoc ISlashing
    function reportTwoRecords(
        EpochRecord calldata first,
        bytes calldata firstSignature,
        EpochRecord calldata second,
        bytes calldata secondSignature
    ) external returns (bytes32 caseId) {
        if (first.epoch != second.epoch || first.attempt != second.attempt) revert SlashingNotSameAttempt();
        if (address(epochRecords) == address(0)) revert SlashingWithoutCode(address(0));
        bytes32 firstDigest = epochRecords.recordDigest(first);
        bytes32 secondDigest = epochRecords.recordDigest(second);
        address signer = _signerOfBoth(firstDigest, firstSignature, secondDigest, secondSignature);
        address operator = committee.operatorOf(signer);
        if (operator == address(0)) revert SlashingSignerUnknown(signer);

        Case memory opened;
        opened.offence = Offence.TwoRecords;
        opened.reporter = msg.sender;
        opened.evidenceHash = Hashes.commutativeKeccak256(firstDigest, secondDigest);
        caseId = caseIdOf(Offence.TwoRecords, _wordOf(signer), 0);
        _openForGatekeeper(caseId, opened, operator);
        emit ProofShown(caseId, signer, firstDigest, secondDigest);
    }

    /// @inheritdoc ISlashing
    function reportJudged(
        Offence offence,
        bytes32 workerId,
        uint64 occurredAt,
        address reporter,
        bytes calldata evidence
    ) external returns (bytes32 caseId) {
        if (!isJudge[msg.sender]) revert SlashingCallerNotJudge(msg.sender);
        if (_isProven(offence)) revert SlashingNotJudged(offence);
        // No underflow: the windows are at most 28 days.
        uint256 earliest = block.timestamp - detectionWindow - proofWindow;
        if (occurredAt < earliest || occurredAt > block.timestamp) {
            revert SlashingOutOfTime(occurredAt, earliest, block.timestamp);
        }
        if (evidence.length == 0 || evidence.length > MAX_EVIDENCE_LENGTH) {
            revert SlashingEvidenceLength(evidence.length, MAX_EVIDENCE_LENGTH);
        }
        Case memory opened;
        opened.offence = offence;
        opened.reporter = reporter;
        opened.evidenceHash = keccak256(evidence);
        caseId = caseIdOf(offence, workerId, opened.evidenceHash);
        _openForWorker(caseId, opened, workerId);
        emit JudgementShown(caseId, msg.sender, occurredAt, evidence);
    }

    /* CASES */

    /// @inheritdoc ISlashing
    function settle(bytes32 caseId) external {
        Case storage kept = _openCase(caseId);
        if (block.timestamp < kept.settleFrom) revert SlashingWindowRuns(kept.settleFrom, block.timestamp);
        kept.state = CaseState.Settled;
        uint256 toReporter = kept.reporter == address(0) ? 0 : uint256(kept.amount) * reporterBps / BPS;
        uint256 toTreasury = kept.amount - toReporter;
        emit CaseSettled(caseId, toReporter, toTreasury);
        if (address(kept.bond) == address(0)) _pools.settle(kept.seizureId);
        if (toReporter != 0) token.safeTransfer(kept.reporter, toReporter);
        token.safeTransfer(treasury, toTreasury);
    }

    /// @inheritdoc ISlashing
    function veto(bytes32 caseId) external {
        Case storage kept = _openCase(caseId);
        if (msg.sender != timelock && (msg.sender != guardian || _isProven(kept.offence))) {
            revert SlashingCallerMayNotVeto(msg.sender, kept.offence);
        }
        if (block.timestamp >= kept.settleFrom) revert SlashingWindowOver(kept.settleFrom, block.timestamp);
        kept.state = CaseState.Vetoed;
        emit CaseVetoed(caseId, msg.sender);
        if (address(kept.bond) == address(0)) {
            token.forceApprove(address(_pools), kept.amount);
            _pools.restore(kept.seizureId);
        } else {
            token.forceApprove(address(kept.bond), kept.amount);
            kept.bond.deposit(kept.operator, kept.amount);
        }
    }

    /* GOVERNANCE */

    /// @inheritdoc ISlashing
    function setOffenceShare(Offence offence, uint16 bps) external onlyTimelock {
        _setOffenceShare(offence, bps);
    }

    /// @inheritdoc ISlashing
    function setJudge(address judge, bool elected) external onlyTimelock {
        isJudge[judge] = elected;
        emit JudgeSet(judge, elected);
    }

    /// @inheritdoc ISlashing
    function setGuardian(address guardian_) external onlyTimelock {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    /// @inheritdoc ISlashing
    function setTreasury(address treasury_) external onlyTimelock {
        _setTreasury(treasury_);
    }

    /// @inheritdoc ISlashing
    function setReporterShare(uint16 bps) external onlyTimelock {
        _setReporterShare(bps);
    }

    /// @inheritdoc ISlashing
    function setGatekeeperSources(IEpochRecords epochRecords_, IDepositBond bond) external onlyTimelock {
        if (address(epochRecords_).code.length == 0) revert SlashingWithoutCode(address(epochRecords_));
        if (address(bond).code.length == 0) revert SlashingWithoutCode(address(bond));
        if (bond.token() != token) revert SlashingTokenMismatch(bond.token(), token);
        _checkReach(bond.withdrawalDelay());
        epochRecords = epochRecords_;
        committee = IGatekeeperCommittee(address(epochRecords_.committee()));
        gatekeeperBond = bond;
        emit GatekeeperSourcesSet(epochRecords_, committee, bond);
    }

    /* VIEWS */

    /// @inheritdoc ISlashing
    function caseOf(bytes32 caseId) external view returns (Case memory) {
        return _cases[caseId];
    }

    /// @inheritdoc ISlashing
    function caseIdOf(Offence offence, bytes32 subject, bytes32 evidenceHash) public pure returns (bytes32) {
        return keccak256(abi.encode(offence, subject, evidenceHash));
    }

    /// @inheritdoc ISlashing
    function shareBounds(Offence offence) public pure returns (uint16 minimum, uint16 maximum) {
        if (_isProven(offence)) return (5_000, 10_000);
        if (offence == Offence.WrongResult) return (1, 5_000);
        if (offence == Offence.Silence) return (1, 2_000);
        return (1, 200);
    }

    /* CHECKS */

    function _checkReach(uint256 unbonding) private view {
        uint256 windows = uint256(detectionWindow) + proofWindow + vetoWindow;
        if (windows > unbonding) revert SlashingUnbondingTooShort(windows, unbonding);
    }

    function _openCase(bytes32 caseId) private view returns (Case storage kept) {
        kept = _cases[caseId];
        if (kept.state != CaseState.Open) revert SlashingNotOpen(caseId, kept.state);
    }

    function _isProven(Offence offence) private pure returns (bool) {
        return offence == Offence.Equivocation || offence == Offence.TwoRecords;
    }

    function _signerOfBoth(
        bytes32 firstDigest,
        bytes calldata firstSignature,
        bytes32 secondDigest,
        bytes calldata secondSignature
    ) private pure returns (address signer) {
        // By digest: the same words under another signature are no second statement.
        if (firstDigest == secondDigest) revert SlashingSameDigest(firstDigest);
        signer = ECDSA.recoverCalldata(firstDigest, firstSignature);
        address other = ECDSA.recoverCalldata(secondDigest, secondSignature);
        if (signer != other) revert SlashingSignersDiffer(signer, other);
    }

    function _wordOf(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    /* STATE */

    function _openForWorker(bytes32 caseId, Case memory opened, bytes32 workerId) private {
        _begin(caseId, opened);
        if (workerBonds.bondOf(workerId) == 0) revert SlashingNothingAtStake(workerId);
        (address pool, uint256 seizureId, uint256 moved) = workerBonds.seize(workerId, offenceShare[opened.offence]);
        opened.operator = pool;
        opened.subject = workerId;
        opened.amount = SafeCast.toUint128(moved);
        opened.seizureId = SafeCast.toUint128(seizureId);
        _keep(caseId, opened);
    }

    function _openForGatekeeper(bytes32 caseId, Case memory opened, address operator) private {
        _begin(caseId, opened);
        IDepositBond bond = gatekeeperBond;
        IDepositBond.Deposit memory held = bond.depositOf(operator);
        uint256 amount =
            Math.mulDiv(held.amount + held.leaving, offenceShare[opened.offence], BPS, Math.Rounding.Ceil);
        if (amount == 0) revert SlashingNothingAtStake(_wordOf(operator));
        opened.operator = operator;
        opened.subject = _wordOf(operator);
        opened.amount = SafeCast.toUint128(amount);
        opened.bond = bond;
        _keep(caseId, opened);
        bond.slash(operator, amount, address(this));
    }

    /// @dev A case is marked before anything moves.
    function _begin(bytes32 caseId, Case memory opened) private {
        CaseState state = _cases[caseId].state;
        if (state != CaseState.None) revert SlashingReportedBefore(caseId, state);
        _cases[caseId].state = CaseState.Open;
        opened.state = CaseState.Open;
        opened.settleFrom = uint40(block.timestamp + vetoWindow);
    }

    function _keep(bytes32 caseId, Case memory opened) private {
        _cases[caseId] = opened;
        emit CaseOpened(
            caseId,
            opened.operator,
            opened.subject,
            opened.offence,
            opened.reporter,
            opened.amount,
            opened.settleFrom,
            opened.evidenceHash
        );
    }

    function _setTreasury(address treasury_) private {
        if (treasury_ == address(0)) revert SlashingTreasuryMissing();
        treasury = treasury_;
        emit TreasurySet(treasury_);
    }

    function _setReporterShare(uint16 bps) private {
        if (bps > MAX_REPORTER_BPS) revert SlashingShareOutOfRange(bps, 0, MAX_REPORTER_BPS);
        reporterBps = bps;
        emit ReporterShareSet(bps);
    }

    function _setOffenceShare(Offence offence, uint16 bps) private {
        (uint16 minimum, uint16 maximum) = shareBounds(offence);
        if (bps < minimum || bps > maximum) revert SlashingShareOutOfRange(bps, minimum, maximum);
        offenceShare[offence] = bps;
        emit OffenceShareSet(offence, bps);
    }
}
