// Checks an evidence file offline, with nothing but a trust file that came by another way.

import {
  BatchVerifier,
  Directory,
  type EvidenceFile,
  type TrustFile,
  decodeEntry,
  openCheckpoint,
  parseVerifierKey,
  statementOf,
  treeRoot,
  leafHash,
} from "chappe/protocol"
import { crypto, judgeLogged, sha256, verifyDisclosure } from "chappe/keys"

/** What is proved: sender, recipients, the time at which a relay logged it, and the words if they were shown. */
export type Proved = {
  readonly sender: string
  readonly recipients: readonly string[]
  readonly loggedBy: string
  readonly loggedAt: number
  readonly officer: string | undefined
  readonly subject: string | undefined
}

/** Throws a ChappeError with a code of the error table when anything does not hold. */
export function verifyEvidence(file: EvidenceFile, trust: TrustFile): Proved {
  // 1. The directory, from the relays' own logs: which key was whose, and when.
  const directory = new Directory(crypto, trust.anchor)
  for (const { origin, entries } of file.directories)
    for (const [index, bytes] of entries.entries()) {
      const logged = statementOf(decodeEntry(bytes), index)
      if (logged === undefined) continue
      const { id } = directory.apply(logged.kind, logged.statement)
      directory.place(origin, index, id)
    }
  // 2. Each of these logs is the one that its relay signed.
  for (const { origin, checkpoint, entries } of file.directories) {
    const named = directory.log(origin)
    if (named === undefined) throw new Error(`nobody has named the log ${origin}`)
    const log = parseVerifierKey(crypto, named.logVkey)
    const { root, size } = openCheckpoint(crypto.verify, new TextEncoder().encode(checkpoint), {
      log,
    })
    const leaves = entries.map((entry) => leafHash(sha256, entry))
    if (size !== entries.length || treeRoot(sha256, leaves).join() !== root.join())
      throw new Error(`the directory log ${origin} is not the signed one`)
  }
  // 3. The message: the node's signature, the relay's promise, and the content if it was shown.
  const facts = { directory, batches: new BatchVerifier(crypto, 16) }
  const { header, auth, disclosure } = file
  const shown = { header, auth, acceptance: file.logged.acceptance }
  const opened =
    disclosure === undefined ? undefined : verifyDisclosure({ ...shown, inside: disclosure }, facts)
  const judged = opened ?? judgeLogged(shown, facts)
  return {
    sender: judged.header.core.senderNode,
    recipients: judged.header.core.recipients.map(({ node }) => node),
    loggedBy: judged.accepted.relay,
    loggedAt: judged.accepted.entry.time,
    officer: opened?.content.officer,
    subject: opened?.document.subject,
  }
}
