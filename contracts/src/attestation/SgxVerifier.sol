// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ids} from "../libraries/Ids.sol";
import {TcbFormat} from "../libraries/TcbFormat.sol";
import {ICollateralStore} from "./ICollateralStore.sol";
import {EvidenceClaims} from "./IEvidenceVerifier.sol";
import {IPckRegistry, IPckRegistryTypes} from "./IPckRegistry.sol";
import {ISgxVerifier} from "./ISgxVerifier.sol";
import {QuoteVerifier} from "./QuoteVerifier.sol";

/// @title SgxVerifier
contract SgxVerifier is ISgxVerifier, QuoteVerifier {
    uint32 private constant TEE_TYPE = 0;
    uint256 private constant REPORT_LENGTH = 384;
    uint256 private constant MR_ENCLAVE_AT = 64;
    uint256 private constant CONFIG_ID_AT = 192;
    bytes16 private constant DEBUG = bytes16(uint128(0x02) << 120);

    constructor(
        ICollateralStore collateralStore,
        IPckRegistry registry
    ) QuoteVerifier(collateralStore, registry, Ids.TEE_SGX) {}

    function _readQuote(
        bytes calldata quote,
        EvidenceClaims memory claims
    ) internal pure override returns (ModuleFacts memory) {
        unchecked {
            uint16 version = _checkHeader(quote, TEE_TYPE);
            if (version != 3) revert QuoteVerifierQuoteVersion(version);
            if (quote.length != HEADER_LENGTH + REPORT_LENGTH) {
                revert QuoteVerifierLength(quote.length, HEADER_LENGTH + REPORT_LENGTH);
            }
            bytes calldata report = quote[HEADER_LENGTH:];
            bytes16 attributes = bytes16(_word(report, ATTRIBUTES_AT));
            if (attributes & DEBUG != 0) revert SgxVerifierDebug(attributes);
            bytes32 padding = _word(report, CONFIG_ID_AT + 32);
            if (padding != 0) revert SgxVerifierConfigPadding(padding);

            claims.imageId = Ids.sgxImageId(_word(report, MR_ENCLAVE_AT));
            claims.configId = _word(report, CONFIG_ID_AT);
            claims.reportDataHead = _word(report, REPORT_DATA_AT);
            claims.reportDataTail = _word(report, REPORT_DATA_AT + 32);
            return ModuleFacts({teeTcbSvn: 0, mrSigner: 0, mrSignerRest: 0, attributes: 0});
        }
    }

    function _statusOf(
        bytes memory tcbInfo,
        IPckRegistryTypes.Platform memory platform,
        bytes16
    ) internal pure override returns (uint8 status, uint8 moduleStatus, uint256 place) {
        return (TcbFormat.statusOfSgx(tcbInfo, platform.components, platform.pceSvn), 1, 0);
    }

    /// @dev SGX has no module.
    function _checkModule(bytes memory, ModuleFacts memory, uint8, uint256) internal pure override {}
}
