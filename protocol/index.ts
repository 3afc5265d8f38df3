// The published door: what a verifier or another implementation needs of the bytes and the rules about them.
// Inside the house nobody imports this file. docs/PROTOCOL.md is the specification.

export { type Auth, BatchVerifier, batchPae, batchRoot, decodeAuth } from "./batch.ts"
export { fromBase64, fromHex, toBase64, toHex } from "./bytes.ts"
export { type Checkpoint, type OpenedCheckpoint, openCheckpoint } from "./checkpoint.ts"
export { type Value } from "./codec.ts"
export { type Crypto } from "./crypto-ports.ts"
export { Directory, type Place } from "./directory.ts"
export { decodeDirectoryBundle } from "./directory-bundle.ts"
export { statementOf } from "./directory-tail.ts"
export { type Document, readDocument } from "./document.ts"
export { type LogEntry, commitmentOf, decodeEntry, logStatementBody } from "./entry.ts"
export {
  type Content,
  type Core,
  type Header,
  type Leaf,
  contentPae,
  coreBytes,
  decodeContent,
  decodeHeader,
  decodeLeaf,
  messageIdOf,
  precedences,
} from "./envelope.ts"
export { ChappeError, type ErrorCode, errorCodes, errorRow, isErrorCode } from "./errors.ts"
export { type EvidenceFile, parseEvidenceFile } from "./evidence-file.ts"
export { type Fork, type ForkFile, checkFork, parseForkFile } from "./fork-file.ts"
export { keyId, typedKeyHash } from "./key-id.ts"
export { limits } from "./limits.ts"
export { pae, statementId } from "./pae.ts"
export { type LogPromise, isPromised, openPromise } from "./promise.ts"
export { type Receipt, decodeReceipt, receiptIdOf, stepName } from "./receipt.ts"
export { type TrustAnchor } from "./roster.ts"
export { scan } from "./scanner.ts"
export { type SignedNote, heldSignatures, parseNote } from "./signed-note.ts"
export { decodeBundle, decodeTile, parseTilePath, tilePath } from "./tiles.ts"
export { type Policy, cosigners, isQuorum, parsePolicy } from "./tlog-policy.ts"
export { type TlogProof, openTlogProof, parseTlogProof } from "./tlog-proof.ts"
export { leafHash, treeRoot, verifyConsistency, verifyInclusion } from "./tree.ts"
export { type TrustFile, parseTrustFile } from "./trust-file.ts"
export { type VerifierKey, parseVerifierKey } from "./verifier-key.ts"
