/** RFC 9457 problem type of RFC 9458 §5.3: the key is unknown or outdated; fetch, verify again, retry once. */
export const keyProblemType = 'https://iana.org/assignments/http-problem-types#ohttp-key';
export const replayProblemType = 'urn:cloister:problem:replayed';
export const malformedProblemType = 'urn:cloister:problem:malformed';
export const oversizeProblemType = 'urn:cloister:problem:too-large';
export const problemMediaType = 'application/problem+json';
