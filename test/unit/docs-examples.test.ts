// The examples that the pages show, run as their readers would run them: on a real header and real evidence.
// They import the built package by its name, so they see its errors: codes are compared, not classes.

import { describe, expect, test } from "vitest"
import { describeEnvelope } from "../../docs/examples/decode-envelope.ts"
import { verifyEvidence } from "../../docs/examples/verify-evidence.ts"
import { sha256 } from "../../keys/crypto.ts"
import { fromUtf8 } from "../../protocol/bytes.ts"
import { formatCheckpointText } from "../../protocol/checkpoint.ts"
import { encodeEntry } from "../../protocol/entry.ts"
import type { EvidenceFile } from "../../protocol/evidence-file.ts"
import { formatNote, signNote } from "../../protocol/signed-note.ts"
import { leafHash, treeRoot } from "../../protocol/tree.ts"
import { frozenMessage } from "../kit/frozen-message.ts"
import { post } from "../kit/mail.ts"
import { World } from "../kit/world.ts"

function evidence(): { readonly world: World; readonly file: EvidenceFile } {
  const world = new World({ at: 1_800_000_000 })
  const { written, sealed, delivery, letter } = post(world)
  const { origin, log } = world.relay("hub1").directoryLog
  const kinds = ["witness-policy", "retention-policy", "delivery-policy"] as const
  let policies = 0
  const entries = world.statements.map(({ kind, statement: body }) =>
    encodeEntry({
      kind: kind === "policy" ? (kinds[policies++] ?? "delivery-policy") : kind,
      time: world.at,
      body,
    }),
  )
  const root = treeRoot(
    sha256,
    entries.map((entry) => leafHash(sha256, entry)),
  )
  const text = formatCheckpointText({ origin, size: entries.length, root })
  const note = formatNote({ text, signatures: [signNote(log.key, text, log.sign)] })
  const file: EvidenceFile = {
    header: delivery.header,
    auth: delivery.auth,
    logged: { acceptance: delivery.acceptance, proof: undefined },
    receipts: [],
    directories: [{ origin, checkpoint: fromUtf8(note), entries }],
    disclosure: {
      content: written.content,
      officerSig: written.officerSig,
      officerKeyId: letter.officer.key.keyId,
      contentCommitKey: sealed.contentCommitKey,
    },
  }
  return { world, file }
}

describe("verify-evidence", () => {
  test("proves who wrote what to whom, and when it was logged", () => {
    const { world, file } = evidence()
    const trust = { anchor: world.anchor, relays: [], auditor: undefined }
    expect(verifyEvidence(file, trust)).toEqual({
      sender: "FR",
      recipients: ["JP"],
      loggedBy: "hub1",
      loggedAt: world.at + 61,
      officer: "FR/duty",
      subject: "Vehicle",
    })
  })

  test("proves less where the content is not shown", () => {
    const { world, file } = evidence()
    const trust = { anchor: world.anchor, relays: [], auditor: undefined }
    const closed = verifyEvidence({ ...file, disclosure: undefined }, trust)
    expect(closed.sender).toBe("FR")
    expect(closed.officer).toBeUndefined()
  })

  test("refuses a directory log that its relay did not sign", () => {
    const { world, file } = evidence()
    const trust = { anchor: world.anchor, relays: [], auditor: undefined }
    const directories = file.directories.map((log) => ({
      ...log,
      entries: [...log.entries, ...log.entries.slice(-1)],
    }))
    expect(() => verifyEvidence({ ...file, directories }, trust)).toThrow("is not the signed one")
  })
})

test("decode-envelope reads the header of the specification's first section", () => {
  const { sealed } = frozenMessage()
  expect(describeEnvelope(sealed.header)).toBe(
    [
      "message   371ac9860fd9ec0b73ea4b38cc44383e5c707af3eec5ab69ce37ce30055b590f",
      "from      FR",
      "to        BR, KE",
      "urgency   flash",
      "created   2027-01-15T08:01:00.000Z",
      "expires   2027-01-16T08:00:00.000Z",
      "body      328 bytes",
    ].join("\n"),
  )
})
