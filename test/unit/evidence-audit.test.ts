// Evidence files: what a sealed message and its receipts prove offline, and that nothing else does.

import { beforeAll, describe, expect, it } from "vitest"
import { evidenceText } from "../../audit/audit-report.ts"
import { verifiers } from "../../audit/double-check.ts"
import { type EvidenceVerdict, verifyEvidence } from "../../audit/evidence-audit.ts"
import { handedInBy } from "../../audit/promise-audit.ts"
import { auditRelay } from "../../audit/relay-audit.ts"
import { signBatch } from "../../keys/batch-signer.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import type { SigningKey } from "../../keys/signing-key.ts"
import { decodeAuth, encodeAuth } from "../../protocol/batch.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import {
  type EvidenceFile,
  type EvidenceReceipt,
  formatEvidenceFile,
  parseEvidenceFile,
} from "../../protocol/evidence-file.ts"
import {
  type Receipt,
  type ReceiptStep,
  encodeReceipt,
  receiptIdOf,
  receiptSteps,
} from "../../protocol/receipt.ts"
import { decodeBundle } from "../../protocol/tiles.ts"
import { AuditedRelay } from "../kit/audited-relay.ts"
import { type Mail, post } from "../kit/mail.ts"
import { codeOf } from "../kit/refusal.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const salt = new Uint8Array(32).fill(3)

type Case = {
  readonly world: World
  readonly relay: AuditedRelay
  readonly mail: Mail
  readonly file: EvidenceFile
}

/** A message that FR sent to JP, delivered and opened there, forwarded by its relay. */
async function makeCase(
  options: { readonly late?: (relay: AuditedRelay) => void } = {},
): Promise<Case> {
  const world = new World({ at })
  const mail = post(world)
  const relay = new AuditedRelay(world)
  relay.traffics(3)
  const logged = accepted(relay, mail.sealed.messageId)
  const opened = receipt(relay, mail, "opened", { by: "JP/duty" })
  const [relayKey] = relay.relay.keys
  if (relayKey === undefined) throw new Error("a relay key")
  const steps = [
    receipt(relay, mail, "forwarded", { by: "hub1" }, relayKey),
    receipt(relay, mail, "delivered"),
    opened,
  ]
  options.late?.(relay)
  relay.publish()
  const proved = async (item: EvidenceFile["logged"]): Promise<EvidenceFile["logged"]> => ({
    acceptance: item.acceptance,
    proof: await relay.traffic.proof(item.acceptance.index),
  })
  const receipts: EvidenceReceipt[] = []
  for (const step of steps)
    receipts.push(step === opened ? step : { ...step, ...(await proved(step)) })
  const { header, auth } = mail.delivery
  const file = {
    header,
    auth,
    logged: await proved(logged),
    receipts,
    directories: [directoryOf(relay)],
    disclosure: undefined,
  }
  return { world, relay, mail, file }
}

function directoryOf(relay: AuditedRelay): EvidenceFile["directories"][number] {
  const { directory } = relay
  const bundle = directory.source.files.get(`tile/entries/000.p/${directory.size}`)
  return {
    origin: directory.origin,
    checkpoint: fromUtf8(directory.head()),
    entries: decodeBundle(bundle ?? new Uint8Array(0), directory.size),
  }
}

function accepted(relay: AuditedRelay, messageId: Uint8Array): EvidenceFile["logged"] {
  const [made] = relay.sign([{ commit: commitmentOf(sha256, salt, messageId) }])
  if (made === undefined) throw new Error("one entry")
  const acceptance = relay.traffic.acceptance(made.index, made.entry, salt, relay.time)
  return { acceptance, proof: undefined }
}

/** A receipt of the message, signed and logged by a member, or by the relay whose key is given. */
function receipt(
  relay: AuditedRelay,
  mail: Mail,
  step: ReceiptStep,
  changes: Partial<Receipt> = {},
  relayKey?: SigningKey,
  member = "JP",
): EvidenceReceipt {
  const key = relayKey ?? relay.world.member(member).node
  const name = relayKey === undefined ? member : relay.relay.name
  const bytes = encodeReceipt({
    version: 1,
    messageId: mail.sealed.messageId,
    recipientNode: "JP",
    step: receiptSteps[step],
    reason: null,
    at: relay.time,
    keyId: key.keyId,
    by: null,
    ref: null,
    ...changes,
  })
  const { root, auths } = signBatch(name, key, [
    { id: receiptIdOf(sha256, bytes), blind: new Uint8Array(16).fill(9) },
  ])
  const [auth] = auths
  const kind = relayKey === undefined ? "receipts" : "relay-receipts"
  const [made] = relay.sign([{ name, key, kind, commit: commitmentOf(sha256, salt, root) }])
  if (auth === undefined || made === undefined) throw new Error("one of each")
  const acceptance = relay.traffic.acceptance(made.index, made.entry, salt, relay.time)
  return { receipt: bytes, auth: encodeAuth(auth), acceptance, proof: undefined }
}

let one: Case
beforeAll(async () => {
  one = await makeCase()
})

/** Through the file's text, as it is handed over. */
function verdictOn(file: EvidenceFile, world = one.world): Promise<EvidenceVerdict> {
  return verifyEvidence(parseEvidenceFile(formatEvidenceFile(file)), world.anchor, verifiers)
}

describe("a whole evidence file", () => {
  it("proves who sent what to whom, and each step where it was logged", async () => {
    const verdict = await verdictOn(one.file)
    expect(verdict).toMatchObject({
      ok: true,
      from: "FR",
      to: ["JP"],
      disclosed: null,
      warnings: [],
    })
    if (!verdict.ok) return
    expect(verdict.steps.map(({ step, by, proved }) => [step, by, proved])).toEqual([
      ["custody", "hub1", true],
      ["opened", "JP/duty", false],
      ["forwarded", "hub1", true],
      ["delivered", "JP", true],
    ])
    expect(evidenceText(verdict)).toContain("The content is not shown")
  })

  it("proves the content too where it is shown", async () => {
    const verdict = await verdictOn({ ...one.file, disclosure: inside(one) })
    expect(verdict).toMatchObject({
      ok: true,
      disclosed: { type: "case/info", officer: "FR/duty", subject: "Vehicle" },
    })
    expect(evidenceText(verdict)).toContain("Vehicle")
  })

  it("still proves what was logged before a key was revoked, and says so", async () => {
    const late = await makeCase({
      late: (relay) => {
        relay.logStatement(relay.world.revocation("FR", relay.world.member("FR").node.keyId))
      },
    })
    const verdict = await verdictOn(late.file, late.world)
    expect(verdict.ok && verdict.warnings).toHaveLength(1)
  })

  it("proves the sender's own word that a deadline was missed, and nobody else's", async () => {
    const missed = await makeCase({})
    const { relay, mail, file } = missed
    const saidBy = (member: string): EvidenceFile => {
      const changes = { by: member, reason: "deadline" }
      const said = receipt(relay, mail, "undelivered", changes, undefined, member)
      return { ...file, receipts: [...file.receipts, said] }
    }
    const verdict = await verdictOn(saidBy("FR"), missed.world)
    expect(verdict.ok && verdict.steps).toContainEqual(
      expect.objectContaining({
        step: "undelivered",
        by: "FR",
        recipient: "JP",
        reason: "deadline",
      }),
    )
    for (const member of ["HQ", "JP"])
      expect(await verdictOn(saidBy(member), missed.world)).toMatchObject({
        ok: false,
        fault: "entry",
      })
  })

  it("hands its promises in to an audit of the log", async () => {
    const report = await auditRelay({
      sourceOf: one.relay.sourceOf,
      relay: "hub1",
      anchor: one.world.anchor,
      since: new Map(),
      sample: 0,
      liveAt: undefined,
      handedIn: handedInBy(sha256, one.file),
      verifiers,
      onFinding: () => undefined,
      onProgress: () => undefined,
      onLog: () => undefined,
    })
    expect(report).toMatchObject({ verdict: "ok", promises: { kept: 4, pending: 0 } })
  })
})

function inside({ mail }: Case): NonNullable<EvidenceFile["disclosure"]> {
  return {
    content: mail.written.content,
    officerSig: mail.written.officerSig,
    officerKeyId: mail.letter.officer.key.keyId,
    contentCommitKey: mail.sealed.contentCommitKey,
  }
}

const flip = (bytes: Uint8Array, place: number): Uint8Array =>
  bytes.with(place, (bytes.at(place) ?? 0) ^ 1)

/** One letter of the last signature line. */
function noteBroken(note: string): string {
  const letter = note.at(-12) === "A" ? "B" : "A"
  return `${note.slice(0, -12)}${letter}${note.slice(-11)}`
}

function wordChanged(content: Uint8Array): Uint8Array {
  const place = content.findIndex((_, i) => fromAscii(content.slice(i, i + 5)) === "owner")
  return flip(content, place)
}

function fromAscii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes)
}

type Tampering = readonly [
  what: string,
  fault: string,
  change: (file: EvidenceFile) => EvidenceFile,
]

function withReceipt(
  file: EvidenceFile,
  place: number,
  change: (receipt: EvidenceReceipt) => EvidenceReceipt,
): EvidenceFile {
  return { ...file, receipts: file.receipts.map((item, i) => (i === place ? change(item) : item)) }
}

function withDirectory(
  file: EvidenceFile,
  change: (log: EvidenceFile["directories"][number]) => object,
): EvidenceFile {
  return { ...file, directories: file.directories.map((log) => ({ ...log, ...change(log) })) }
}

function withAcceptance(file: EvidenceFile, changes: object): EvidenceFile {
  const { logged } = file
  return { ...file, logged: { ...logged, acceptance: { ...logged.acceptance, ...changes } } }
}

/** A receipt that was really signed and logged so, added to the file. */
function added(make: (relay: AuditedRelay, mail: Mail) => EvidenceReceipt): Tampering[2] {
  return (file) => ({ ...file, receipts: [...file.receipts, make(one.relay, one.mail)] })
}

const tamperings: readonly Tampering[] = [
  ["a bit of the header", "entry", (f) => ({ ...f, header: flip(f.header, -1) })],
  ["a bit of the node's signature", "signature", (f) => ({ ...f, auth: authFlipped(f.auth) })],
  [
    "a bit of the entry",
    "entry",
    (f) => withAcceptance(f, { entry: flip(f.logged.acceptance.entry, -1) }),
  ],
  ["the salt", "entry", (f) => withAcceptance(f, { salt: flip(salt, 0) })],
  ["no salt", "entry", (f) => withAcceptance(f, { salt: null })],
  ["the index", "entry", (f) => withAcceptance(f, { index: f.logged.acceptance.index + 1 })],
  [
    "the promise",
    "entry",
    (f) => withAcceptance(f, { promise: f.logged.acceptance.promise.replace("\n1\n", "\n2\n") }),
  ],
  [
    "the proof of another entry",
    "proof",
    (f) => ({ ...f, logged: { ...f.logged, proof: f.receipts[0]?.proof } }),
  ],
  [
    "the proof's checkpoint",
    "note",
    (f) => ({ ...f, logged: { ...f.logged, proof: noteBroken(f.logged.proof ?? "") } }),
  ],
  [
    "a hash of the proof",
    "proof",
    (f) => ({
      ...f,
      logged: {
        ...f.logged,
        proof: f.logged.proof?.replace(/\n[^\n]{44}\n/u, `\n${"A".repeat(43)}=\n`),
      },
    }),
  ],
  [
    "a bit of a receipt",
    "entry",
    (f) => withReceipt(f, 1, (r) => ({ ...r, receipt: changedTime(r.receipt) })),
  ],
  [
    "a receipt under another's signature",
    "signature",
    (f) => withReceipt(f, 1, (r) => ({ ...r, auth: f.receipts[2]?.auth ?? r.auth })),
  ],
  [
    "a receipt's entry",
    "entry",
    (f) => withReceipt(f, 1, (r) => ({ ...r, acceptance: f.logged.acceptance })),
  ],
  [
    "a receipt of another message",
    "recipients",
    added((relay, mail) => receipt(relay, mail, "delivered", { messageId: new Uint8Array(32) })),
  ],
  [
    "a receipt of somebody who was not addressed",
    "recipients",
    added((relay, mail) => receipt(relay, mail, "delivered", { recipientNode: "HQ" })),
  ],
  [
    "a relay that says delivered",
    "entry",
    added((relay, mail) => receipt(relay, mail, "delivered", { by: "hub1" }, relay.relay.keys[0])),
  ],
  ["a member that says custody", "entry", added((relay, mail) => receipt(relay, mail, "custody"))],
  [
    "a relay's receipt in another relay's log",
    "entry",
    added((relay, mail) => receipt(relay, mail, "expired", { by: "hub2" }, relay.relay.keys[0])),
  ],
  [
    "a receipt by a key that is not the recipient's",
    "entry-key",
    added((relay, mail) => {
      const node = relay.world.member("FR").node
      return signedBy(relay, mail, node)
    }),
  ],
  [
    "an entry whose own signature is wrong",
    "entry-signature",
    (f) => reaccepted(f, { signature: (bytes: Uint8Array) => flip(bytes, 3) }),
  ],
  ["an entry signed by another member", "entry-key", (f) => reaccepted(f, { name: "JP" })],
  [
    "a directory log that lacks its end",
    "log-file",
    (f) => withDirectory(f, (log) => ({ entries: log.entries.slice(0, -1) })),
  ],
  ["a directory log cut short under an older checkpoint", "log-file", (f) => cutShort(f)],
  [
    "a bit of a directory entry",
    "log-fork",
    (f) =>
      withDirectory(f, (log) => ({
        entries: log.entries.map((e, i) => (i === 9 ? flip(e, 70) : e)),
      })),
  ],
  [
    "the directory's checkpoint",
    "note",
    (f) => withDirectory(f, (log) => ({ checkpoint: noteBroken(log.checkpoint) })),
  ],
  [
    "the directory's origin",
    "log-file",
    (f) => withDirectory(f, () => ({ origin: "hub2/directory" })),
  ],
  [
    "the directory twice",
    "log-file",
    (f) => ({ ...f, directories: [...f.directories, ...f.directories] }),
  ],
  ["no directory", "entry", (f) => ({ ...f, directories: [] })],
  [
    "a bit of the content",
    "officer-signature",
    (f) => disclosed(f, { content: wordChanged(inside(one).content) }),
  ],
  [
    "a bit of the officer's signature",
    "officer-signature",
    (f) => disclosed(f, { officerSig: flip(inside(one).officerSig, 8) }),
  ],
  ["another officer", "officer-key", (f) => disclosed(f, { officerKeyId: new Uint8Array(16) })],
  [
    "another commitment key",
    "content-commitment",
    (f) => disclosed(f, { contentCommitKey: new Uint8Array(32) }),
  ],
]

function disclosed(file: EvidenceFile, changes: object): EvidenceFile {
  return { ...file, disclosure: { ...inside(one), ...changes } }
}

function authFlipped(encoded: Uint8Array): Uint8Array {
  const auth = decodeAuth(encoded)
  return encodeAuth({ ...auth, signature: flip(auth.signature, 40) })
}

/** The last number of a receipt that is a time: so the bytes stay in form. */
function changedTime(encoded: Uint8Array): Uint8Array {
  const place = encoded.findIndex((byte, i) => byte === 0xce && encoded[i + 5] === 0xc4)
  return flip(encoded, place + 4)
}

function signedBy(relay: AuditedRelay, mail: Mail, key: SigningKey): EvidenceReceipt {
  const own = receipt(relay, mail, "delivered")
  const [made] = relay.sign([{ name: "FR", key, kind: "receipts", commit: commitOf(own) }])
  if (made === undefined) throw new Error("one entry")
  return { ...own, acceptance: relay.traffic.acceptance(made.index, made.entry, salt, relay.time) }
}

function commitOf({ acceptance }: EvidenceReceipt): Uint8Array {
  return acceptance.entry.slice(10, 42)
}

/** The message accepted once more, with a log statement that is not in order. */
function reaccepted(file: EvidenceFile, changes: object): EvidenceFile {
  const commit = commitmentOf(sha256, salt, one.mail.sealed.messageId)
  const [made] = one.relay.sign([{ commit, ...changes }])
  if (made === undefined) throw new Error("one entry")
  const acceptance = one.relay.traffic.acceptance(made.index, made.entry, salt, one.relay.time)
  return { ...file, logged: { acceptance, proof: undefined } }
}

/** Honestly signed when the log was shorter; it could hide that a key was revoked since. */
function cutShort(file: EvidenceFile): EvidenceFile {
  const relay = new AuditedRelay(one.world, "hub1", { statements: false })
  for (const entry of file.directories[0]?.entries.slice(0, -1) ?? []) relay.directory.append(entry)
  relay.directory.publish()
  return { ...file, directories: [directoryOf(relay)] }
}

describe("a changed evidence file", () => {
  it.each(tamperings)("is refused: %s, %s", async (_, fault, change) => {
    const file = change(one.file)
    expect(await verdictOn(file)).toMatchObject({ ok: false, fault })
  })

  it("is refused under another trust file", async () => {
    const verdict = await verdictOn(one.file, new World({ at: at + 1 }))
    expect(verdict.ok).toBe(false)
    expect(evidenceText(verdict)).toContain("NOT PROVED")
  })

  it("is refused where the two verifiers differ", async () => {
    const trusting = { ...verifiers, fast: { ...crypto, verify: () => true } }
    const changed = { ...one.file, auth: authFlipped(one.file.auth) }
    expect(await verifyEvidence(changed, one.world.anchor, trusting)).toMatchObject({ ok: false })
    const liar = { ...verifiers, points: () => true }
    const bad = withDirectory(one.file, ({ checkpoint }) => ({
      checkpoint: noteBroken(checkpoint),
    }))
    expect(await verifyEvidence(bad, one.world.anchor, liar)).toMatchObject({ ok: false })
  })

  it("is not an evidence file with another member, type or base64", () => {
    const text = formatEvidenceFile(one.file)
    for (const bad of [
      text.replace('"header"', '"headers"'),
      text.replace("evidence/v1", "evidence/v2"),
      text.replace('"auth": "', '"auth": " '),
      `${text.slice(0, -3)},"more":1}`,
      "{",
      "[]",
    ])
      expect(codeOf(() => parseEvidenceFile(bad))).toBe("not-canonical")
    expect(utf8(text).length).toBeGreaterThan(1_000)
  })
})
