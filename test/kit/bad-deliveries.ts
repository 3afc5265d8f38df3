// Deliveries for the frozen vectors: good ones, and one for each code that a receiver may answer.

import { sha256 } from "../../keys/crypto.ts"
import type { Delivery } from "../../keys/open-envelope.ts"
import { pad } from "../../keys/padding.ts"
import { decodeAuth, encodeAuth } from "../../protocol/batch.ts"
import { concat } from "../../protocol/bytes.ts"
import {
  type Core,
  decodeContent,
  decodeHeader,
  decodeLeaf,
  encodeContent,
  encodeHeader,
  encodeInside,
  encodeLeaf,
  contentPae,
  messageIdOf,
} from "../../protocol/envelope.ts"
import { limits } from "../../protocol/limits.ts"
import { leafHash } from "../../protocol/tree.ts"
import {
  type Letter,
  type Mail,
  accept,
  acceptFacts,
  authOf,
  deliveryOf,
  documentOf,
  officerOf,
  post,
  rewrapped,
  seal,
  withPadded,
  write,
} from "./mail.ts"
import type { World } from "./world.ts"

export type DeliveryCase = readonly [
  name: string,
  delivery: Delivery,
  facts: { readonly me?: string; readonly now?: number },
]

export function badDeliveries(world: World, mail: Mail): readonly DeliveryCase[] {
  const { delivery, sealed } = mail
  const { acceptance, body } = delivery
  const auth = decodeAuth(delivery.auth)
  const two = post(world, { to: ["BR", "JP"] })
  const second = deliveryOf(two.sealed, two.delivery.auth, two.delivery.acceptance, 1)
  const last = Uint8Array.from(body)
  last[body.length - 1] = (last[body.length - 1] ?? 0) ^ 1

  /** A header that its sender signed and its relay accepted. */
  const signed = (header: Uint8Array, changes: Partial<Delivery> = {}): Delivery => {
    const id = messageIdOf(sha256, header)
    const own = { auth: authOf(id, world.member("FR")), acceptance: accept(world, id, "FR") }
    return { ...delivery, header, ...own, ...changes }
  }
  const core = (changes: Partial<Core>): Uint8Array => {
    const header = decodeHeader(delivery.header)
    return encodeHeader({ ...header, core: { ...header.core, ...changes } })
  }
  const leafed = (changes: object): Delivery => {
    const leaf = encodeLeaf({ ...decodeLeaf(delivery.leaf), ...changes })
    const header = encodeHeader({
      ...decodeHeader(delivery.header),
      slicesRoot: leafHash(sha256, leaf),
    })
    return signed(header, { leaf })
  }
  const sent = (changes: Partial<Letter>): Delivery => post(world, changes).delivery
  /** Content that the officer signed after a change. */
  const wrote = (changes: object): Delivery => {
    const written = write(world, mail.letter)
    const content = encodeContent({ ...decodeContent(written.content), ...changes })
    const officerSig = mail.letter.officer.key.sign(contentPae(content))
    const again = seal(world, mail.letter, { ...written, content, officerSig })
    const own = authOf(again.messageId, world.member("FR"))
    return deliveryOf(again, own, accept(world, again.messageId, "FR"))
  }
  const forged = (): Delivery => {
    const again = seal(world, mail.letter, { ...mail.written, officerSig: new Uint8Array(64) })
    const own = authOf(again.messageId, world.member("FR"))
    return deliveryOf(again, own, accept(world, again.messageId, "FR"))
  }
  const late = acceptFacts(world, { time: world.at + 81 * limits.secondsPerDay })
  const early = acceptFacts(world, { directorySize: 3 })
  const receipts = acceptFacts(world, { kind: "receipts" })
  const accepted = (facts: typeof late): Delivery => ({
    ...delivery,
    acceptance: accept(world, sealed.messageId, "FR", facts),
  })
  const bent = (changes: object): Delivery => ({
    ...delivery,
    auth: encodeAuth({ ...auth, ...changes }),
  })
  const { core: fields } = decodeHeader(delivery.header)
  const key = new Uint8Array(32).fill(9)
  const padded = pad(
    encodeInside({
      content: mail.written.content,
      officerSig: mail.written.officerSig,
      officerKeyId: mail.letter.officer.key.keyId,
      contentCommitKey: sealed.contentCommitKey,
    }),
  )
  const hidden = Uint8Array.from(padded)
  hidden[padded.length - 1] = 1
  const broken = Uint8Array.from(withPadded(world, mail, padded).body)
  broken[100] = (broken[100] ?? 0) ^ 1
  const document = documentOf("diffusion/send", { form: new Map([["colour", "red"]]) })
  const publication = documentOf("case/info")
  return [
    ["good", delivery, {}],
    ["good, one of two recipients", second, {}],
    ["good, for some of the intended recipients", sent({ intended: ["BR", "JP"] }), {}],
    ["a body too short", { ...delivery, body: body.slice(0, 327) }, {}],
    [
      "a path of nine",
      { ...delivery, path: Array.from({ length: 9 }, () => new Uint8Array(32)) },
      {},
    ],
    [
      "a byte behind the header",
      { ...delivery, header: concat(delivery.header, Uint8Array.of(0)) },
      {},
    ],
    ["suite 2", signed(core({ suite: 2 })), {}],
    ["another salt", { ...delivery, acceptance: { ...acceptance, salt: new Uint8Array(32) } }, {}],
    ["another index", { ...delivery, acceptance: { ...acceptance, index: 7 } }, {}],
    ["another message's entry", { ...delivery, acceptance: two.delivery.acceptance }, {}],
    ["an entry of receipts", accepted(receipts), {}],
    [
      "the officer's key id where the node's belongs",
      signed(core({ senderKeyId: mail.letter.officer.key.keyId })),
      {},
    ],
    [
      "the link's key id where the node's belongs",
      signed(core({ senderKeyId: world.member("FR").link.keyId })),
      {},
    ],
    ["a key not yet named where it was accepted", accepted(early), {}],
    ["a key that had ended where it was accepted", accepted(late), {}],
    ["a slice of another incarnation", leafed({ incarnation: 2 }), {}],
    ["another message's signature", { ...delivery, auth: two.delivery.auth }, {}],
    ["index = size", bent({ index: 1 }), {}],
    ["size 0", bent({ size: 0 }), {}],
    ["size 513", bent({ size: 513 }), {}],
    ["a batch path too long", bent({ path: [new Uint8Array(32)] }), {}],
    ["no blind", bent({ blind: new Uint8Array(0) }), {}],
    [
      "a header changed by a relay",
      {
        ...delivery,
        header: core({ precedence: 3 }),
        acceptance: accept(world, messageIdOf(sha256, core({ precedence: 3 })), "FR"),
      },
      {},
    ],
    ["dated ahead", delivery, { now: world.at + 60 - 301 }],
    ["expired", delivery, { now: mail.letter.expires + 1 }],
    [
      "alive for more than 14 days",
      sent({ expires: world.at + 60 + limits.lifetimeSecondsMax + 1 }),
      {},
    ],
    ["not for me", delivery, { me: "BR" }],
    ["another recipient's slice", { ...two.delivery }, {}],
    ["a path that does not lead to the root", { ...second, path: [new Uint8Array(32)] }, {}],
    ["a body changed by a relay", { ...delivery, body: last }, {}],
    [
      "sealed to a prekey that is gone",
      sent({
        created: world.at + 2 * limits.secondsPerDay,
        expires: world.at + 3 * limits.secondsPerDay,
      }),
      { now: world.at + 2 * limits.secondsPerDay },
    ],
    ["a wrap changed by the sender", leafed({ wrap: new Uint8Array(limits.wrapBytes) }), {}],
    ["a body changed by the sender", signed(core({ bodyHash: sha256(last) }), { body: last }), {}],
    ["a body under another key than the wrap gives", rewrapped(world, mail, key, body, fields), {}],
    ["a chunk changed by the sender", rewrapped(world, mail, key, broken, fields), {}],
    ["padding that hides bytes", withPadded(world, mail, hidden), {}],
    ["padding of another length", withPadded(world, mail, concat(padded, new Uint8Array(16))), {}],
    ["an inside that is not canonical", withPadded(world, mail, pad(new Uint8Array(9))), {}],
    ["another content commitment", withPadded(world, mail, padded, { contentCommit: key }), {}],
    ["another member's officer", sent({ officer: officerOf(world, "BR") }), {}],
    [
      "an officer's name with another key",
      sent({ officer: { ...officerOf(world, "FR", "auditor"), id: "FR/duty" } }),
      {},
    ],
    [
      "an officer without the capability",
      sent({ officer: officerOf(world, "FR", "operator") }),
      {},
    ],
    ["an officer's signature that does not hold", forged(), {}],
    ["a type that nobody knows", sent({ type: "case/unknown" }), {}],
    ["a document without its keys", sent({ document: new Map([["to", []]]) }), {}],
    ["a document of another type", sent({ type: "notice/published", document: publication }), {}],
    [
      "a recipient that the officer did not sign",
      sent({ to: ["HQ", "JP"], intended: ["HQ"] }),
      { me: "HQ" },
    ],
    [
      "another sender in the content",
      wrote({ intended: { sender: "BR", id: mail.written.id, nodes: ["JP"] } }),
      {},
    ],
    [
      "another id in the content",
      wrote({ intended: { sender: "FR", id: new Uint8Array(16), nodes: ["JP"] } }),
      {},
    ],
    ["content dated behind its envelope", wrote({ created: world.at + 361 }), {}],
    ["a room that nobody knows", sent({ room: new Uint8Array(32) }), {}],
    ["a diffusion without the desk", sent({ type: "diffusion/send", document }), {}],
  ]
}
