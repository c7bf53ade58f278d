// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceClaims, IEvidenceVerifier} from "../../src/attestation/IEvidenceVerifier.sol";

/// @notice Believes everything: evidence is the ABI encoding of the claims, and a recheck says what it was told to say.
contract UnsafeScriptedVerifier is IEvidenceVerifier {
    struct Verdict {
        uint8 tcbStatus;
        uint32 tcbEvaluationDataNumber;
        uint64 validUntil;
    }

    error UnsafeScriptedVerifierNoCollateral(bytes32 platformKey);

    mapping(bytes32 platformKey => Verdict) private _verdicts;

    function verify(bytes calldata evidence) external returns (EvidenceClaims memory claims) {
        claims = abi.decode(evidence, (EvidenceClaims));
        _verdicts[claims.platformKey] =
            Verdict(claims.tcbStatus, claims.tcbEvaluationDataNumber, claims.validUntil);
    }

    /// @notice What later rechecks of a platform say; status 0 takes its collateral away.
    function script(bytes32 platformKey, Verdict calldata verdict) external {
        _verdicts[platformKey] = verdict;
    }

    function recheck(bytes32 platformKey, bytes32) external view returns (uint8, uint32, uint64) {
        Verdict memory verdict = _verdicts[platformKey];
        if (verdict.tcbStatus == 0) revert UnsafeScriptedVerifierNoCollateral(platformKey);
        return (verdict.tcbStatus, verdict.tcbEvaluationDataNumber, verdict.validUntil);
    }
}
