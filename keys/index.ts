// The published door: verification that needs cryptography, and fingerprints. Nothing here takes a secret.
// Inside the house nobody imports this file.

export { type AcceptedEntry, openAcceptance } from "./accepted-entry.ts"
export { crypto, sha256 } from "./crypto.ts"
export { fingerprintHex, fingerprintWords } from "./fingerprint.ts"
export { type Disclosure, judgeLogged, verifyDisclosure } from "./open-envelope.ts"
