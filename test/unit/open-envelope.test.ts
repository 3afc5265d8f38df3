// What a receiver refuses, with the first code that applies, and that nothing else comes through.

import { describe, expect, it } from "vitest"
import { noBlind, signBatch } from "../../keys/batch-signer.ts"
import { encryptChunks } from "../../keys/chunked-encryption.ts"
import { crypto, hmacSha256, sha256 } from "../../keys/crypto.ts"
import {
  type Delivery,
  type OpenedMessage,
  openDelivery,
  parseDelivery,
  verifyDelivery,
  verifyDisclosure,
} from "../../keys/open-envelope.ts"
import { pad } from "../../keys/padding.ts"
import type { Random } from "../../keys/hedge.ts"
import { sealEnvelope } from "../../keys/seal-envelope.ts"
import { possessionOf } from "../../keys/statements.ts"
import { BatchVerifier, decodeAuth, encodeAuth } from "../../protocol/batch.ts"
import { concat, equalBytes } from "../../protocol/bytes.ts"
import { encodeBodyContext } from "../../protocol/envelope.ts"
import { type Value, encode, value } from "../../protocol/codec.ts"
import {
  type Core,
  contentPae,
  decodeHeader,
  decodeLeaf,
  encodeContent,
  decodeContent,
  encodeHeader,
  encodeInside,
  encodeLeaf,
  messageIdOf,
} from "../../protocol/envelope.ts"
import { keyId } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import { encodeReceipt } from "../../protocol/receipt.ts"
import { leafHash } from "../../protocol/tree.ts"
import { addTo, officerBody, placedDirectory } from "../kit/chains.ts"
import { countingRandom } from "../kit/counting-random.ts"
import {
  type Letter,
  type Mail,
  accept,
  acceptFacts,
  authOf,
  deliveryOf,
  documentOf,
  letter,
  officerOf,
  post,
  prekeyOf,
  rewrapped,
  seal,
  withPadded,
  write,
} from "../kit/mail.ts"
import { codeOf } from "../kit/refusal.ts"
import { World, seededKey } from "../kit/world.ts"

const at = 1_800_000_000
const world = new World({ at, members: ["BR", "FR", "HQ", "JP"] })
const directory = placedDirectory(world)

type Facts = { me?: string; now?: number; directory?: typeof directory; secret?: Uint8Array | null }

function open(delivery: Delivery, facts: Facts = {}): OpenedMessage {
  const me = facts.me ?? "JP"
  const pair = prekeyOf(world, me)
  const id = keyId(sha256, "prekey", pair.publicKey)
  const prekey = (wanted: Uint8Array): Uint8Array | undefined => {
    if (facts.secret === null) return undefined
    return facts.secret ?? (equalBytes(wanted, id) ? pair.secret : undefined)
  }
  const receiver = {
    me,
    now: facts.now ?? at + 100,
    directory: facts.directory ?? directory,
    batches: new BatchVerifier(crypto, 10),
  }
  return openDelivery(verifyDelivery(parseDelivery(delivery), receiver), { ...receiver, prekey })
}
const code = (delivery: Delivery, facts: Facts = {}) => codeOf(() => open(delivery, facts))
const posted = (changes: Partial<Letter> = {}, facts: Facts = {}) =>
  code(post(world, changes).delivery, facts)

/** The same mail under another header, signed and accepted again: only what the test bent is wrong. */
function under(mail: Mail, header: Uint8Array, changes: Partial<Delivery> = {}): Delivery {
  const messageId = messageIdOf(sha256, header)
  const sender = world.member(mail.letter.from)
  const auth = authOf(messageId, sender)
  const acceptance = accept(world, messageId, mail.letter.from)
  return { ...mail.delivery, header, auth, acceptance, ...changes }
}

function withCore(mail: Mail, changes: Partial<Core>): Uint8Array {
  const header = decodeHeader(mail.sealed.header)
  return encodeHeader({ ...header, core: { ...header.core, ...changes } })
}

const withInside = (mail: Mail, padded: Uint8Array, coreChanges: Partial<Core> = {}): Delivery =>
  withPadded(world, mail, padded, coreChanges)
const wrapped = (mail: Mail, key: Uint8Array, body: Uint8Array, core: Core): Delivery =>
  rewrapped(world, mail, key, body, core)

const mail = post(world)
const two = post(world, { to: ["BR", "JP"] })

function insideOf(item: Mail) {
  const opened = open(item.delivery)
  return opened.inside
}

describe("what is good", () => {
  it("opens, with the officer's words", () => {
    const { content, document } = open(mail.delivery)
    expect(content.officer).toBe("FR/duty")
    expect(document.text).toBe("Please confirm the owner.")
    expect(posted({ to: ["BR", "JP"] }, { me: "BR" })).toBe(undefined)
  })

  it("opens for some of the intended recipients only", () => {
    expect(posted({ intended: ["BR", "JP"] })).toBe(undefined)
  })

  it("opens from a relay that did not accept it first, and under any size of batch", () => {
    const sender = world.member("FR")
    const items = [1, 2, 3].map((byte) => ({ id: sha256(noise(byte)), blind: noise(byte) }))
    items[1] = { id: mail.sealed.messageId, blind: noise(7) }
    const { auths } = signBatch("FR", sender.node, items)
    const auth = encodeAuth(auths[1] ?? decodeAuth(mail.delivery.auth))
    expect(code({ ...mail.delivery, auth })).toBe(undefined)
  })

  it("proves its content to anybody, without a key that opens mail", () => {
    const { header, auth, acceptance } = mail.delivery
    const facts = { directory, batches: new BatchVerifier(crypto, 10) }
    const inside = insideOf(mail)
    const shown = { header, auth, acceptance, inside }
    expect(verifyDisclosure(shown, facts).content.officer).toBe("FR/duty")
    const other = { ...inside, contentCommitKey: new Uint8Array(32) }
    expect(codeOf(() => verifyDisclosure({ ...shown, inside: other }, facts))).toBe(
      "content-commitment",
    )
    const otherAuth = { ...shown, auth: two.delivery.auth }
    expect(codeOf(() => verifyDisclosure(otherAuth, facts))).toBe("signature")
  })
})

const noise = (byte: number): Uint8Array => new Uint8Array(16).fill(byte)

describe("steps 1 and 2: sizes and layouts", () => {
  const { delivery } = mail
  const hash = new Uint8Array(32)
  it.each<[string, Partial<Delivery>, string]>([
    ["a header too long", { header: new Uint8Array(limits.headerBytesMax + 1) }, "size"],
    ["an auth too long", { auth: new Uint8Array(limits.leafBytesMax + 1) }, "size"],
    ["a leaf too long", { leaf: new Uint8Array(limits.leafBytesMax + 1) }, "size"],
    [
      "a leaf too long beside a malformed header",
      { header: hash, leaf: new Uint8Array(2_000) },
      "size",
    ],
    ["a body too short", { body: new Uint8Array(limits.bodyBytesMin - 1) }, "size"],
    ["a body too long", { body: new Uint8Array(limits.bodyBytesMax + 1) }, "size"],
    ["a path of nine", { path: Array.from({ length: 9 }, () => hash) }, "size"],
    ["a path of another width", { path: [new Uint8Array(31)] }, "size"],
    [
      "a header with a byte more",
      { header: concat(delivery.header, hash.slice(0, 1)) },
      "not-canonical",
    ],
    ["an empty header", { header: new Uint8Array(0) }, "not-canonical"],
    ["another auth", { auth: hash }, "not-canonical"],
    ["another leaf", { leaf: hash }, "not-canonical"],
  ])("%s", (_, changes, expected) => {
    expect(code({ ...delivery, ...changes })).toBe(expected)
  })

  it("any bit of any part flipped is refused", () => {
    const parts = ["header", "auth", "leaf", "body"] as const
    for (const part of parts) {
      const bytes = delivery[part]
      for (let at = 0; at < bytes.length; at += Math.max(1, bytes.length >> 5)) {
        const changed = Uint8Array.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
        expect(code({ ...delivery, [part]: changed })).toBeTypeOf("string")
      }
    }
  })
})

describe("step 4: the suite", () => {
  it.each([0, 2, 3, 65_535])("%i", (suite) => {
    expect(code(under(mail, withCore(mail, { suite })))).toBe("suite")
  })

  it("below the roster's minimum, or behind its last day", () => {
    const own = new World({ at, members: ["FR", "HQ", "JP"] })
    const item = post(own)
    const policed = (policy: object) => {
      const place = placedDirectory(own)
      addTo(place, own.nextRoster({ policy: { ...own.roster.policy, ...policy } }))
      return code(item.delivery, { directory: place })
    }
    expect(policed({ minSuite: 2 })).toBe("suite")
    expect(policed({ minSuite: 1, suites: [{ suite: 1, notAfter: at + 59 }] })).toBe("suite")
    expect(policed({ minSuite: 1, suites: [{ suite: 1, notAfter: at + 60 }] })).toBe(undefined)
  })
})

describe("step 5: the accepted entry and the sender's key", () => {
  const { delivery, sealed } = mail
  const { acceptance } = delivery
  it.each<[string, object]>([
    ["another salt", { salt: new Uint8Array(32) }],
    ["no salt", { salt: null }],
    ["another index", { index: acceptance.index + 1 }],
    ["a path cut short", { path: [] }],
    ["another entry", { entry: two.delivery.acceptance.entry }],
    ["no entry", { entry: Uint8Array.of(1) }],
    ["a promise that is none", { promise: "" }],
    ["a promise changed", { promise: acceptance.promise.replace("\n5\n", "\n4\n") }],
    ["another relay's promise", { promise: acceptance.promise.replaceAll("hub1", "hub2") }],
    ["an unknown relay's promise", { promise: acceptance.promise.replaceAll("hub1", "hub9") }],
  ])("%s", (_, changes) => {
    expect(code({ ...delivery, acceptance: { ...acceptance, ...changes } })).toBe("entry")
  })

  it("an entry of another message, of another kind, or that accepts nothing", () => {
    expect(code({ ...delivery, acceptance: two.delivery.acceptance })).toBe("entry")
    const receipts = accept(world, sealed.messageId, "FR", acceptFacts(world, { kind: "receipts" }))
    expect(code({ ...delivery, acceptance: receipts })).toBe("entry")
  })

  const withKey = (senderKeyId: Uint8Array) => code(under(mail, withCore(mail, { senderKeyId })))
  it("a link, officer, prekey or strange id where a node key belongs", () => {
    const { link, officers, standby, root } = world.member("FR")
    const officer = officers[0]?.key.keyId ?? noise(0)
    const prekey = keyId(sha256, "prekey", prekeyOf(world, "FR").publicKey)
    const others = [link.keyId, officer, prekey, standby.keyId, root.keyId, noise(1)]
    for (const id of [...others, world.member("BR").node.keyId])
      expect(withKey(id)).toBe("sender-key")
  })

  it("a key that was not yet named there, or had ended or been revoked there", () => {
    expect(codeOf(() => open(post(world, {}, { directorySize: 5 }).delivery))).toBe("sender-key")
    const late = at + 81 * limits.secondsPerDay
    expect(code(post(world, {}, { time: late }).delivery)).toBe("sender-key")
    const own = placedDirectory(world)
    const revocation = world.revocation("FR", world.member("FR").node.keyId)
    addTo(own, revocation, { "hub1/directory": world.statements.length })
    expect(code(delivery, { directory: own })).toBe(undefined)
    const after = post(world, {}, { directorySize: world.statements.length + 1 })
    expect(code(after.delivery, { directory: own })).toBe("sender-key")
  })

  it("a slice of another incarnation", () => {
    const leaf = encodeLeaf({ ...decodeLeaf(delivery.leaf), incarnation: 2 })
    const header = decodeHeader(delivery.header)
    const slicesRoot = leafHash(sha256, leaf)
    expect(code(under(mail, encodeHeader({ ...header, slicesRoot }), { leaf }))).toBe("sender-key")
  })
})

describe("step 6: the signature", () => {
  const { delivery, sealed } = mail
  const auth = decodeAuth(delivery.auth)
  const signedBy = (
    id: Uint8Array,
    blind: Uint8Array,
    name = "FR",
    key = world.member("FR").node,
  ) => encodeAuth(signBatch(name, key, [{ id, blind }]).auths[0] ?? auth)

  it.each<[string, object]>([
    ["index = size", { index: 1 }],
    ["size 0", { size: 0 }],
    ["size 513", { size: 513 }],
    ["size 512 for a batch of one", { size: 512 }],
    ["a path too long", { path: [new Uint8Array(32)] }],
    ["a path of ten", { path: Array.from({ length: 10 }, () => new Uint8Array(32)) }],
    ["no blind", { blind: noBlind }],
    ["a blind too short", { blind: new Uint8Array(15) }],
    ["another blind", { blind: new Uint8Array(16) }],
    ["another signature", { signature: new Uint8Array(64) }],
  ])("%s", (_, changes) => {
    expect(code({ ...delivery, auth: encodeAuth({ ...auth, ...changes }) })).toBe("signature")
  })

  it("a leaf moved, a path cut, the root of another batch", () => {
    const items = [sealed.messageId, two.sealed.messageId].map((id, i) => ({ id, blind: noise(i) }))
    const [mine, other] = signBatch("FR", world.member("FR").node, items).auths
    if (mine === undefined || other === undefined) throw new Error("two")
    const refused = (changed: typeof auth) => code({ ...delivery, auth: encodeAuth(changed) })
    expect(refused(mine)).toBe(undefined)
    expect(refused({ ...mine, index: 1 })).toBe("signature")
    expect(refused({ ...mine, path: [] })).toBe("signature")
    expect(refused({ ...mine, size: 3 })).toBe("signature")
    expect(refused({ ...mine, signature: auth.signature })).toBe("signature")
    expect(refused(other)).toBe("signature")
    expect(code({ ...delivery, auth: two.delivery.auth })).toBe("signature")
  })

  it("by another key, in another name, or over a statement of another type", () => {
    const { node } = world.member("BR")
    const blind = noise(1)
    expect(code({ ...delivery, auth: signedBy(sealed.messageId, blind, "FR", node) })).toBe(
      "signature",
    )
    expect(code({ ...delivery, auth: signedBy(sealed.messageId, blind, "BR") })).toBe("signature")
    const receipt = {
      version: 1,
      messageId: sealed.messageId,
      recipientNode: "JP",
      step: 4,
      reason: null,
      at,
      keyId: noise(1),
      by: null,
      ref: null,
    } as const
    const asReceipt = sha256(contentPae(encodeReceipt(receipt)))
    expect(code({ ...delivery, auth: signedBy(asReceipt, blind) })).toBe("signature")
  })

  it("what a relay changes in the header", () => {
    const { core } = decodeHeader(delivery.header)
    const recipients = [{ node: "BR", kemKeyId: noise(1) }, ...core.recipients]
    for (const changes of [
      { expires: core.expires + 1 },
      { precedence: 3 },
      { recipients },
    ] as const) {
      const header = withCore(mail, changes)
      const acceptance = accept(world, messageIdOf(sha256, header), "FR")
      expect(code({ ...delivery, header, acceptance })).toBe("signature")
    }
  })
})

describe("step 7: times", () => {
  it("too early, expired, or alive for too long", () => {
    expect(code(mail.delivery, { now: at + 60 - limits.clockSkewSecondsMax })).toBe(undefined)
    expect(code(mail.delivery, { now: at + 60 - limits.clockSkewSecondsMax - 1 })).toBe("too-early")
    expect(code(mail.delivery, { now: mail.letter.expires })).toBe(undefined)
    expect(code(mail.delivery, { now: mail.letter.expires + 1 })).toBe("expired")
    const created = mail.letter.created
    expect(posted({ expires: created })).toBe("expired")
    expect(posted({ expires: created + limits.lifetimeSecondsMax })).toBe(undefined)
    expect(posted({ expires: created + limits.lifetimeSecondsMax + 1 })).toBe("expired")
  })
})

describe("step 8: addressed to me, my slice in the tree", () => {
  it("mail and slices of others", () => {
    expect(code(mail.delivery, { me: "BR" })).toBe("not-for-me")
    const other = deliveryOf(two.sealed, two.delivery.auth, two.delivery.acceptance, 1)
    expect(code(two.delivery, { me: "JP" })).toBe("not-for-me")
    expect(code({ ...two.delivery, path: other.path }, { me: "BR" })).toBe("slice")
    expect(code({ ...two.delivery, path: [] }, { me: "BR" })).toBe("slice")
    expect(code({ ...other, leaf: mail.delivery.leaf })).toBe("slice")
    expect(code({ ...mail.delivery, path: [new Uint8Array(32)] })).toBe("slice")
    expect(code(other)).toBe(undefined)
  })

  it("two wraps swapped by their names", () => {
    const [br, jp] = two.sealed.leaves.map(decodeLeaf)
    if (br === undefined || jp === undefined) throw new Error("two")
    const leaf = encodeLeaf({ ...jp, wrap: br.wrap })
    const jpPath = deliveryOf(two.sealed, two.delivery.auth, two.delivery.acceptance, 1).path
    expect(code({ ...two.delivery, leaf, path: jpPath })).toBe("slice")
  })
})

describe("steps 10 to 13: body, wrap, commitment, chunks, padding", () => {
  const { delivery } = mail
  const inside = insideOf(mail)

  it("a body of another length or hash", () => {
    expect(code({ ...delivery, body: concat(delivery.body, Uint8Array.of(0)) })).toBe("body")
    expect(code({ ...delivery, body: two.delivery.body })).toBe("body")
  })

  it("a prekey that is gone, or another one", () => {
    expect(code(delivery, { secret: null })).toBe("prekey-gone")
    expect(code(delivery, { secret: new Uint8Array(32).fill(1) })).toBe("wrap")
  })

  it("a recipient that signs another's mail as its own", () => {
    // The same core under another sender: the wraps are bound to H(core).
    const { core } = decodeHeader(delivery.header)
    const jpToBr = post(world, { from: "BR", to: ["JP"] })
    const header = withCore(jpToBr, {
      ...core,
      senderNode: "BR",
      senderKeyId: world.member("BR").node.keyId,
    })
    const stolen = under(
      jpToBr,
      encodeHeader({ ...decodeHeader(header), slicesRoot: leafHash(sha256, delivery.leaf) }),
      {
        leaf: delivery.leaf,
        body: delivery.body,
      },
    )
    expect(code(stolen)).toBe("wrap")
    // Wrapped anew: the body's context names its sender.
    const ours = new Uint8Array(32).fill(9)
    const again = wrapped(jpToBr, ours, delivery.body, decodeHeader(jpToBr.sealed.header).core)
    expect(code(again)).toBe("key-commitment")
  })

  it("a body that is valid under another key", () => {
    const { core } = decodeHeader(delivery.header)
    const twice = encryptChunks({
      key: new Uint8Array(32).fill(8),
      context: encodeBodyContext(1, core.id, "FR"),
      salt: new Uint8Array(24),
      plaintext: pad(encodeInside(inside)),
    })
    expect(code(wrapped(mail, new Uint8Array(32).fill(9), twice, core))).toBe("key-commitment")
  })

  it("a chunk changed by the sender, and a body cut at a chunk's border", () => {
    const { core } = decodeHeader(delivery.header)
    const key = new Uint8Array(32).fill(9)
    const context = encodeBodyContext(1, core.id, "FR")
    const plaintext = pad(concat(encodeInside(inside), new Uint8Array(40_000).fill(1)))
    const body = encryptChunks({ key, context, salt: new Uint8Array(24), plaintext })
    const last = Uint8Array.from(body)
    last[body.length - 1] = (last[body.length - 1] ?? 0) ^ 1
    expect(code(wrapped(mail, key, last, core))).toBe("chunk")
    expect(code(wrapped(mail, key, body.slice(0, 56 + 16_400), core))).toBe("chunk")
    expect(code(wrapped(mail, key, body.slice(0, 56 + 16_410), core))).toBe("chunk")
  })

  it("padding that hides bytes or has another length", () => {
    const exact = pad(encodeInside(inside))
    expect(code(withInside(mail, exact))).toBe(undefined)
    const hidden = Uint8Array.from(exact)
    hidden[exact.length - 1] = 1
    expect(code(withInside(mail, hidden))).toBe("padding")
    expect(code(withInside(mail, concat(exact, new Uint8Array(16))))).toBe("padding")
    expect(code(withInside(mail, new Uint8Array(256)))).toBe("padding")
  })

  it("an inside that is not of the canonical form", () => {
    expect(code(withInside(mail, pad(concat(encodeInside(inside), Uint8Array.of(0xc0)))))).toBe(
      "not-canonical",
    )
    expect(code(withInside(mail, pad(encode(value, ["x"]))))).toBe("not-canonical")
  })
})

describe("steps 14 to 16: officer, recipients, commitment", () => {
  const item = letter(world)

  /** Seals what an officer of the test's choice signed. */
  const resealed = (changes: Partial<Letter>, contentChanges: object = {}): string | undefined => {
    const chosen = { ...item, ...changes }
    const written = write(world, chosen)
    const content = encodeContent({ ...decodeContent(written.content), ...contentChanges })
    const officerSig = chosen.officer.key.sign(contentPae(content))
    const sealed = seal(world, chosen, { ...written, content, officerSig })
    const sender = world.member(chosen.from)
    const auth = authOf(sealed.messageId, sender)
    const delivery = deliveryOf(sealed, auth, accept(world, sealed.messageId, chosen.from))
    return code(delivery, { me: chosen.to[0] ?? "JP" })
  }

  it("another member's officer, and content resealed by its recipient", () => {
    expect(resealed({ officer: officerOf(world, "BR") })).toBe("officer-key")
    const theirs = write(world, item)
    const sealed = seal(world, letter(world, { from: "BR", officer: item.officer }), theirs)
    const auth = authOf(sealed.messageId, world.member("BR"))
    expect(code(deliveryOf(sealed, auth, accept(world, sealed.messageId, "BR")))).toBe(
      "officer-key",
    )
  })

  it("an officer of that name with another key, or revoked where it was accepted", () => {
    const other = seededKey("officer", "other")
    expect(resealed({ officer: { id: "FR/duty", key: other } })).toBe("officer-key")
    const own = placedDirectory(world)
    const revocation = world.revocation("FR", officerOf(world, "FR").key.keyId)
    addTo(own, revocation, { "hub1/directory": 3 })
    expect(code(mail.delivery, { directory: own })).toBe("officer-key")
  })

  it("a signature over other content", () => {
    const written = write(world, item)
    const sealed = seal(world, item, { ...written, officerSig: new Uint8Array(64) })
    const auth = authOf(sealed.messageId, world.member("FR"))
    const delivery = deliveryOf(sealed, auth, accept(world, sealed.messageId, "FR"))
    expect(code(delivery)).toBe("officer-signature")
  })

  it("an officer without the capability for type, colour or precedence", () => {
    expect(resealed({ officer: officerOf(world, "FR", "operator") })).toBe("capability")
    const document = documentOf("notice/request", { form: new Map([["colour", "red"]]) })
    expect(resealed({ type: "notice/request", document })).toBe(undefined)
    const auditor = officerOf(world, "FR", "auditor")
    expect(resealed({ type: "notice/request", document, officer: auditor })).toBe("capability")
    const own = new World({ at, members: ["FR", "HQ", "JP"] })
    const slow = { id: "FR/slow", key: seededKey("officer", "slow") }
    own.extendRoot("FR", "officer", officerBody("FR/slow", slow.key, { maxPrecedence: 1 }))
    const ownDirectory = placedDirectory(own)
    const sent = (precedence: 1 | 2) =>
      code(post(own, { officer: slow, precedence }).delivery, { directory: ownDirectory })
    expect(sent(1)).toBe(undefined)
    expect(sent(2)).toBe("capability")
  })

  it("a publication by a member that is not the desk, whatever its root gave its officers", () => {
    const own = new World({ at, members: ["FR", "HQ", "JP"] })
    const self = { id: "FR/boss", key: seededKey("officer", "boss") }
    const body = officerBody("FR/boss", self.key, { capabilities: ["desk/decide"] })
    own.extendRoot("FR", "officer", { ...body, possession: possessionOf("FR", self.key) })
    const ownDirectory = placedDirectory(own)
    const quoted = {
      header: mail.delivery.header,
      auth: mail.delivery.auth,
      entry: mail.delivery.acceptance.entry,
      salt: new Uint8Array(32),
      promise: mail.delivery.acceptance.promise,
      index: 6,
      path: [],
      content: mail.written.content,
      officerSig: mail.written.officerSig,
      officerKeyId: noise(1),
      contentCommitKey: new Uint8Array(32),
    }
    const document = documentOf("notice/published", { quoted })
    const sent = (changes: Partial<Letter>) =>
      code(post(own, { type: "notice/published", document, ...changes }).delivery, {
        directory: ownDirectory,
      })
    expect(sent({ from: "FR", officer: self })).toBe("capability")
    expect(sent({ from: "HQ" })).toBe(undefined)
  })

  it("a type that nobody knows, and a document that does not fit its type", () => {
    expect(resealed({ type: "case/unknown" })).toBe("document")
    expect(resealed({ document: new Map<string, Value>([["to", []]]) })).toBe("document")
  })

  it("recipients that the officer did not sign, another id, sender, or time", () => {
    const { id } = write(world, item)
    const intended = { sender: "FR", id, nodes: ["JP"] }
    expect(resealed({}, { intended })).toBe(undefined)
    expect(resealed({ to: ["BR", "JP"], intended: ["JP"] })).toBe("recipients")
    expect(resealed({}, { intended: { ...intended, nodes: ["BR"] } })).toBe("recipients")
    expect(resealed({}, { intended: { ...intended, id: noise(1) } })).toBe("recipients")
    expect(resealed({}, { intended: { ...intended, sender: "BR" } })).toBe("recipients")
    expect(resealed({}, { created: item.created + 300 })).toBe(undefined)
    expect(resealed({}, { created: item.created + 301 })).toBe("recipients")
  })

  it("a content commitment that the sender lies in", () => {
    const inside = insideOf(mail)
    const padded = pad(encodeInside(inside))
    expect(code(withInside(mail, padded, { contentCommit: new Uint8Array(32) }))).toBe(
      "content-commitment",
    )
    const wrongKey = pad(encodeInside({ ...inside, contentCommitKey: new Uint8Array(32) }))
    expect(code(withInside(mail, wrongKey))).toBe("content-commitment")
    expect(hmacSha256(inside.contentCommitKey, inside.content)).toEqual(
      decodeHeader(mail.sealed.header).core.contentCommit,
    )
  })
})

describe("steps 17 and 18: room and desk", () => {
  it("a room is refused until rooms are known", () => {
    expect(posted({ room: new Uint8Array(32) })).toBe("room")
  })

  it("a diffusion goes to the desk, or comes from it", () => {
    const form = new Map([["colour", "red"]])
    const changes = { type: "diffusion/send", document: documentOf("diffusion/send", { form }) }
    expect(posted({ ...changes, to: ["BR", "JP"] }, { me: "BR" })).toBe("hq-missing")
    expect(posted({ ...changes, to: ["HQ", "JP"] }, { me: "HQ" })).toBe(undefined)
  })
})

const to = (node: string, kemKey: Uint8Array) => ({
  node,
  kemKey,
  channelSeq: 1,
  channelPrev: new Uint8Array(32),
})

describe("sealing", () => {
  it("refuses too much content and a KEM key that nobody can seal to", () => {
    const item = letter(world)
    const written = write(world, item)
    const tooMuch = { ...written, content: new Uint8Array(limits.paddedMax + 1) }
    expect(codeOf(() => seal(world, item, tooMuch))).toBe("size")
    const nearly = { ...written, content: new Uint8Array(limits.paddedMax - 50) }
    expect(codeOf(() => seal(world, item, nearly))).toBe("size")
    const sender = world.member("FR")
    const random: Random = countingRandom("x")
    const draft = {
      sender: { node: "FR", keyId: sender.node.keyId, incarnation: 1 },
      hedgeSecret: sender.hedgeSecret,
      random,
      ...written,
      officerKeyId: item.officer.key.keyId,
      created: item.created,
      expires: item.expires,
      precedence: 1,
      checkpoint: { size: 0, root: new Uint8Array(32) },
      room: null,
    } as const
    const broken = new Uint8Array(1_216).fill(0xff)
    const good = prekeyOf(world, "JP").publicKey
    expect(codeOf(() => sealEnvelope({ ...draft, recipients: [to("JP", broken)] }))).toBe(
      "key-form",
    )
    const twice = [to("JP", good), to("JP", good)]
    expect(() => sealEnvelope({ ...draft, recipients: twice })).toThrow(RangeError)
    expect(() => sealEnvelope({ ...draft, recipients: [] })).toThrow(RangeError)
  })

  it("draws other keys for other content, even from a cloned generator", () => {
    const item = letter(world)
    const other = { ...item, document: documentOf("case/info", { text: "other" }) }
    const [a, b] = [item, other].map((one) => seal(world, one, write(world, one)))
    expect(a?.body.slice(0, 24)).not.toEqual(b?.body.slice(0, 24))
    expect(a?.contentCommitKey).not.toEqual(b?.contentCommitKey)
    expect(decodeLeaf(a?.leaves[0] ?? noise(0)).wrap).not.toEqual(
      decodeLeaf(b?.leaves[0] ?? noise(0)).wrap,
    )
  })
})
