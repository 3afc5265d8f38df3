// One or more valid inputs for every decoder, made from fixed seeds: the same bytes on any machine.

import { sha256 } from "../../keys/crypto.ts"
import { signHello } from "../../keys/link-hello.ts"
import { pad } from "../../keys/padding.ts"
import { signRoster } from "../../keys/statements.ts"
import { emptyBytes, fromHex, toBase64, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Value, encode, value } from "../../protocol/codec.ts"
import { encodeControl, encodeSignedControl } from "../../protocol/control.ts"
import { formatDeliveryPolicy } from "../../protocol/delivery-policy.ts"
import { encodeDirectoryBundle, encodePostedStatement } from "../../protocol/directory-bundle.ts"
import { documentValue } from "../../protocol/document.ts"
import { type LogEntry, encodeEntry } from "../../protocol/entry.ts"
import { encodeInside } from "../../protocol/envelope.ts"
import { formatEvidenceFile } from "../../protocol/evidence-file.ts"
import { encodeForkFile } from "../../protocol/fork-file.ts"
import { encodeFrame } from "../../protocol/frames.ts"
import { decodeSignedHello } from "../../protocol/hello.ts"
import { encodeInvitation } from "../../protocol/invitation.ts"
import { encodeJoinRequest } from "../../protocol/join-request.ts"
import { type LinkMessage, encodeLinkMessage } from "../../protocol/link-messages.ts"
import { decodeMultiSigned } from "../../protocol/multi-signed.ts"
import { formatPromiseText } from "../../protocol/promise.ts"
import { encodeReceipt, encodeSealedReceiptInside } from "../../protocol/receipt.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { encodeBundle, encodeTile } from "../../protocol/tiles.ts"
import { encodeTlogProof } from "../../protocol/tlog-proof.ts"
import { inclusionPath, leafHash, treeRoot } from "../../protocol/tree.ts"
import { encodeTombstone } from "../../protocol/tombstone.ts"
import { formatTrustFile } from "../../protocol/trust-file.ts"
import { formatVerifierKey } from "../../protocol/verifier-key.ts"
import { encodeAddCheckpoint } from "../../protocol/witness-request.ts"
import { prng } from "./mutate.ts"
import { type Mail, emptyDocument, post } from "./mail.ts"
import { noteSigner, signedCheckpoint, witnessSigner } from "./note-signer.ts"
import { World, seedOf } from "./world.ts"

const at = 1_800_000_000

export type Samples = Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>

export function sampleWorld(): World {
  const urls = { links: ["wss://127.0.0.1:7001"], https: ["https://127.0.0.1:7002"] }
  return new World({
    at,
    members: ["FR", "HQ", "JP"],
    relays: ["hub1", "hub2"],
    urls: { hub1: urls },
  })
}

const valueOf = (item: Value): Uint8Array => encode(value, item)
const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)
const noise = (length: number): Uint8Array => prng(length).bytes(length)

/** Names to inputs, by the decoder's name. */
export function samples(): Samples {
  const world = sampleWorld()
  const mail = post(world)
  return {
    ...encodings(),
    ...envelopes(mail),
    ...statements(world),
    ...links(world, mail),
    ...logs(mail),
  }
}

function encodings(): Samples {
  const values = {
    nil: valueOf(null),
    "the largest integer": valueOf(0xffff_ffff),
    "the smallest integer": valueOf(-(2 ** 31)),
    text: valueOf("Größe, حجم, 大きさ"),
    "a map": valueOf(
      new Map<string, Value>([
        ["b", 1],
        ["a", [true, fill(3, 1)]],
      ]),
    ),
    "32 bytes": valueOf(fill(32, 7)),
    "depth 16": fromHex(`${"91".repeat(15)}c0`),
  }
  return {
    scanner: values,
    value: values,
    hex: { bytes: utf8(toHex(noise(9))) },
    base64: { "one of two pads": utf8(toBase64(noise(10))), "no pad": utf8(toBase64(noise(9))) },
    padding: { "a short text": pad(utf8("hello")), "256 bytes": pad(noise(256)) },
  }
}

function envelopes(mail: Mail): Samples {
  const { delivery, written } = mail
  const inside = {
    content: written.content,
    officerSig: written.officerSig,
    officerKeyId: fill(16, 1),
    contentCommitKey: fill(32, 2),
  }
  const receipt = {
    version: 1,
    messageId: mail.sealed.messageId,
    recipientNode: "JP",
    step: 4,
    reason: null,
    at,
    keyId: fill(16, 3),
    by: null,
    ref: null,
  } as const
  const opened = { ...receipt, step: 5, by: "JP/duty", ref: fill(16, 4) } as const
  const rejected = { ...receipt, step: 16, reason: "wrap" } as const
  const control = {
    version: 1,
    from: "JP",
    to: "FR",
    n: 1,
    at,
    op: "gap",
    body: [1, 3, 4, 9],
  } as const
  const probe = { ...control, op: "probe", body: null } as const
  const quoted = {
    header: delivery.header,
    auth: delivery.auth,
    entry: delivery.acceptance.entry,
    salt: delivery.acceptance.salt ?? fill(32, 0),
    promise: delivery.acceptance.promise,
    index: delivery.acceptance.index,
    path: delivery.acceptance.path,
    ...inside,
  }
  const attachment = {
    hash: fill(32, 1),
    cipherLength: 328,
    plainLength: 5,
    plainHash: fill(32, 2),
    key: fill(32, 3),
    mediaType: "image/jpeg",
    name: "photo.jpg",
  }
  const form = new Map<string, Value>([["colour", "red"]])
  const documents = {
    "a message": documentValue("case/info", { ...emptyDocument, attachments: [attachment] }),
    "a notice": documentValue("notice/request", { ...emptyDocument, form, ourRef: "A-1" }),
    "a publication": documentValue("notice/published", { ...emptyDocument, quoted }),
  }
  const types = {
    "a message": "case/info",
    "a notice": "notice/request",
    "a publication": "notice/published",
  }
  return {
    header: { "one recipient": delivery.header },
    auth: { "a batch of one": delivery.auth },
    leaf: { "a slice": delivery.leaf },
    content: { "a message": written.content },
    inside: { "a message": encodeInside(inside) },
    document: Object.fromEntries(
      Object.entries(documents).map(([name, item]) => [
        name,
        encode(value, [types[name as keyof typeof types], item]),
      ]),
    ),
    receipt: {
      delivered: encodeReceipt(receipt),
      opened: encodeReceipt(opened),
      rejected: encodeReceipt(rejected),
    },
    "sealed receipt": {
      opened: encodeSealedReceiptInside({
        receipt: encodeReceipt(opened),
        auth: delivery.auth,
        salt: fill(32, 5),
      }),
    },
    tombstone: {
      expired: encodeTombstone({
        header: delivery.header,
        auth: delivery.auth,
        leaf: delivery.leaf,
        path: delivery.path,
        receipt: encodeReceipt({ ...receipt, step: 17, by: "hub1" }),
        receiptAuth: delivery.auth,
      }),
    },
    control: { "a gap": encodeControl(control), "a probe": encodeControl(probe) },
    "signed control": {
      "a gap": encodeSignedControl({
        control: encodeControl(control),
        keyId: fill(16, 1),
        signature: fill(64, 2),
      }),
    },
    "evidence file": {
      "with its content": utf8(
        formatEvidenceFile({
          header: delivery.header,
          auth: delivery.auth,
          logged: { acceptance: delivery.acceptance, proof: undefined },
          receipts: [
            {
              receipt: encodeReceipt(receipt),
              auth: delivery.auth,
              acceptance: delivery.acceptance,
              proof: "a proof",
            },
          ],
          directories: [{ origin: "hub1/directory", checkpoint: "a note", entries: [fill(20, 1)] }],
          disclosure: inside,
        }),
      ),
    },
  }
}

function statements(world: World): Samples {
  const chains: Record<string, Uint8Array> = {}
  const first = world.statements[0]?.statement ?? emptyBytes
  for (const { kind, statement } of world.statements) {
    if (kind !== "chain") continue
    const { body } = decodeMultiSigned(statement)
    const op = /[a-z]+/u.exec(nameOfOp(body))?.[0] ?? ""
    chains[op] ??= body
  }
  const fr = world.member("FR")
  const revocation = world.revocation("FR", fr.node.keyId).statement
  chains["revoke"] = decodeMultiSigned(revocation).body
  const some = world.statements.slice(0, 6)
  const genesis = world.statements.find(({ kind }) => kind === "chain")?.statement ?? first
  return {
    "multi-signed statement": {
      "two custodians": first,
      unsigned: signRoster(world.roster, []).statement,
    },
    roster: { "roster 1": decodeMultiSigned(first).body },
    "chain statement": chains,
    invitation: {
      "to hub1": encodeInvitation({
        version: 1,
        custodians: world.roster.custodians,
        rosterNumber: 1,
        rosterId: world.anchor.rosterId,
        relay: "hub1",
        urls: ["https://127.0.0.1:7002"],
        linkKey: world.relay("hub1").link.publicKey,
        certificate: fill(60, 1),
        token: seedOf("token"),
      }),
    },
    "join request": {
      "a newcomer": encodeJoinRequest({
        version: 1,
        name: "KE",
        statements: [genesis],
        prekeys: [noise(1_216)],
      }),
    },
    "directory bundle": {
      "six statements": encodeDirectoryBundle({ version: 1, statements: some }),
      empty: encodeDirectoryBundle({ version: 1, statements: [] }),
    },
    "posted statement": {
      "a revocation": encodePostedStatement({ version: 1, kind: "chain", statement: revocation }),
    },
    "trust file": {
      "an anchor": utf8(formatTrustFile({ anchor: world.anchor, relays: [], auditor: undefined })),
    },
    "delivery policy": {
      lanes: formatDeliveryPolicy({
        deadlineSeconds: { flash: 60, immediate: 300, priority: 1_800, routine: 7_200 },
      }),
    },
  }
}

/** The operation's text in a chain statement: the fifth field. */
function nameOfOp(body: Uint8Array): string {
  return (
    Array.from(body.subarray(0, 80), (byte) => String.fromCharCode(byte))
      .join("")
      .replaceAll(/[^a-z]/gu, " ")
      .split(" ")
      .filter((word) => ops.includes(word))
      .at(0) ?? ""
  )
}

const ops = [
  "genesis",
  "root",
  "node",
  "standby",
  "witness",
  "relays",
  "relay",
  "log",
  "recovery",
  "officer",
  "revoke",
  "link",
  "prekeys",
  "urls",
]

function links(world: World, { delivery, sealed }: Mail): Samples {
  const { node } = world.member("FR")
  const signed = signHello(node, {
    exporter: fill(32, 1),
    from: "FR",
    to: "hub1",
    role: 0,
    at,
    suites: [1],
    head: { size: 0, root: sha256(emptyBytes) },
    incarnation: 1,
    held: { seq: 0, session: 1 },
  })
  const { header, auth, leaf, path, acceptance, body } = delivery
  const { entry } = acceptance
  const statement = {
    origin: "hub1/traffic/2027",
    seq: 1,
    keyId: fill(16, 1),
    salt: fill(32, 2),
    commit: fill(32, 3),
    auth,
  }
  const item = { to: "FR", messageId: sealed.messageId, receipt: fill(40, 4), auth }
  const slice = { leaf, path }
  const ref = { hash: fill(32, 5), length: 328 }
  const request = 7
  const messages: readonly LinkMessage[] = [
    { name: "done", request },
    { name: "refused", request, code: "busy", final: false, retrySeconds: 30 },
    { name: "submit", request, header, auth, leaves: [leaf], statement, attachments: [ref], body },
    { name: "accepted", request, acceptance },
    { name: "deliver", request, header, auth, slice, acceptance, attachments: [], body },
    { name: "forward", request, header, auth, slices: [slice], acceptance, attachments: [], body },
    { name: "custody", request, receipts: [{ receipt: fill(40, 4), auth }], acceptance },
    { name: "receipts", request, statement, root: fill(32, 6), items: [item] },
    {
      name: "evidence",
      request,
      from: "JP",
      items: [{ ...item, messageId: null, auth: null }],
      acceptance: null,
    },
    { name: "control", request, control: fill(60, 7) },
    { name: "bodyOffer", request, body: ref },
    { name: "bodyHave", request, offset: 16_456 },
    { name: "bodyPut", request, hash: fill(32, 5), offset: 0, part: fill(9, 8) },
    { name: "bodyGet", request, hash: fill(32, 5), offset: 0, length: 9 },
    { name: "bodyPart", request, part: emptyBytes },
    { name: "directoryGet", request, origin: "hub1/directory", from: 0 },
    { name: "directoryPart", request, size: 1, entries: [entry] },
    { name: "statementPut", request, sort: "chain", statement: fill(50, 9) },
    { name: "prekeysPut", request, member: "FR", keys: [noise(1_216)] },
    { name: "prekeysGet", request, hashes: [fill(32, 1)] },
    { name: "prekeysPart", request, keys: [null] },
    { name: "checkpoint", request, origin: "hub1/directory", body: "old 0\n" },
    { name: "cosigned", request, status: 200, body: "" },
    { name: "proofsGet", request, origin: "hub1/directory", size: 2, indexes: [0, 1] },
    { name: "proofs", request, paths: [[fill(32, 1)], []] },
    { name: "consistencyGet", request, origin: "hub1/directory", from: 1, to: 2 },
    { name: "consistency", request, path: [fill(32, 1)] },
    { name: "journal", request, statement, head: fill(32, 1) },
    { name: "draining", request, isOn: true },
    { name: "tombstone", request, tombstone: fill(80, 7) },
    { name: "probe", request, relay: "hub1", to: "FR", nonce: fill(32, 1) },
    { name: "echo", request, echo: fill(180, 1) },
    { name: "cosignatures", request, origin: statement.origin, checkpoint: fill(300, 1) },
    { name: "promise", request, promise: acceptance.promise },
  ]
  return {
    hello: { "of a node": decodeSignedHello(signed).hello },
    "signed hello": { "of a node": signed },
    "link message": Object.fromEntries(
      messages.map((message) => [message.name, encodeLinkMessage(message)]),
    ),
    frame: {
      hello: encodeFrame({ kind: 0, hello: signed }),
      open: encodeFrame({ kind: 1, stream: 1, lane: 4, total: 9, chunk: fill(9, 1) }),
      more: encodeFrame({ kind: 2, stream: 1, chunk: fill(9, 1) }),
      ack: encodeFrame({ kind: 3, charge: 256 }),
      ping: encodeFrame({ kind: 4, number: 1 }),
      pong: encodeFrame({ kind: 5, number: 1 }),
      close: encodeFrame({ kind: 6, code: "done" }),
    },
  }
}

function logs({ delivery }: Mail): Samples {
  const log = noteSigner("hub1/traffic/2027", 1)
  const witness = witnessSigner("FR", 3)
  const leaves = Array.from({ length: 11 }, (_, i) => leafHash(sha256, utf8(`entry ${i}`)))
  const root = treeRoot(sha256, leaves)
  const note = signedCheckpoint(log, { size: 11, root }, [witness])
  const path = inclusionPath(sha256, leaves, 6)
  const { text } = parseNote(note)
  const auth = { index: 1, size: 3, path: [fill(32, 1)], blind: emptyBytes, signature: fill(64, 2) }
  const signed = { commit: fill(32, 3), keyId: fill(16, 4), seq: 1, directorySize: 7, auth }
  const time = at
  const entries: readonly LogEntry[] = [
    { kind: "envelope", time, ...signed },
    { kind: "receipts", time, ...signed },
    { kind: "relay-receipts", time, ...signed },
    { kind: "journal", time, ...signed },
    { kind: "head", time, note },
    { kind: "shard", time, note },
    { kind: "access", time, keyId: fill(16, 5), from: 1, to: 2, commit: fill(32, 6) },
    { kind: "retention", time, from: 1, to: 2, policyIndex: 3 },
    { kind: "erasure", time, index: 9 },
    { kind: "roster", time, body: fill(40, 7) },
    { kind: "chain", time, body: fill(40, 8) },
    { kind: "witness-policy", time, body: utf8("quorum none\n") },
    { kind: "retention-policy", time, body: utf8("{}\n") },
    { kind: "delivery-policy", time, body: utf8("{}\n") },
  ]
  const policy = `log ${formatVerifierKey(log.key)} https://hub1.example/\nwitness FR ${formatVerifierKey(witness.key)}\ngroup all all FR\nquorum all\n`
  return {
    entry: Object.fromEntries(entries.map((entry) => [entry.kind, encodeEntry(entry)])),
    promise: {
      "of eleven": utf8(
        formatPromiseText({ origin: log.key.name, first: 0, count: 11, root, time }),
      ),
      "as a relay gives it": utf8(parseNote(utf8(delivery.acceptance.promise)).text),
    },
    checkpoint: { "of eleven": utf8(text) },
    note: { "a cosigned checkpoint": note, "a promise": utf8(delivery.acceptance.promise) },
    "signature lines": { two: note.slice(utf8(text).length + 1) },
    proof: { "of entry 6": encodeTlogProof({ index: 6, path, checkpoint: note }) },
    "fork file": {
      "of one head": encodeForkFile({ small: note, large: note, prefixRoot: root, path }),
    },
    "add-checkpoint": { "from 7": encodeAddCheckpoint({ old: 7, path, checkpoint: note }) },
    "witness size": { 600: utf8("600\n") },
    "witness policy": { "one witness": utf8(policy) },
    "verifier key": {
      "of a log": utf8(formatVerifierKey(log.key)),
      "of a witness": utf8(formatVerifierKey(witness.key)),
    },
    tile: { "three hashes": encodeTile(leaves.slice(0, 3)) },
    "entry bundle": { "two entries": encodeBundle(entries.slice(0, 2).map(encodeEntry)) },
    "tile path": {
      "a hash tile": utf8("tile/0/x001/x234/067"),
      "a partial bundle": utf8("tile/entries/000.p/44"),
    },
  }
}
