// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {EvidenceClaims, IEvidenceVerifier} from "../../src/attestation/IEvidenceVerifier.sol";

/// @notice Believes everything: evidence is the ABI encoding of the claims.
contract UnsafeScriptedVerifier is IEvidenceVerifier {
    function verify(bytes calldata evidence) external pure returns (EvidenceClaims memory) {
        return abi.decode(evidence, (EvidenceClaims));
    }
}
