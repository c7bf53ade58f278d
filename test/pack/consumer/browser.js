// Bundled for browsers outside the repository. Whatever it reaches must need nothing of Node.js.
import * as verify from '@cloister/attestation/verify';
import * as channel from '@cloister/channel/client';
import * as crypto from '@cloister/crypto';
import * as sdk from '@cloister/sdk';

globalThis.cloister = { channel, crypto, sdk, verify };
