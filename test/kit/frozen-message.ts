// The message that docs/PROTOCOL.md shows byte by byte: fixed seeds, fixed times, so the same bytes everywhere.

import { batchLeaf, batchPae, encodeAuth } from "../../protocol/batch.ts"
import { commitmentOf, logStatementBody } from "../../protocol/entry.ts"
import { contentPae } from "../../protocol/envelope.ts"
import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { dayKeyPair, newPrekeyPeriod } from "../../keys/prekey-period.ts"
import {
  type SealedEnvelope,
  draftContent,
  draftIdentity,
  sealEnvelope,
} from "../../keys/seal-envelope.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { kemKeyPair } from "../../keys/sodium.ts"

const fill = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte)

export type FrozenMessage = {
  readonly node: SigningKey
  readonly officer: SigningKey
  readonly id: Uint8Array
  readonly content: Uint8Array
  readonly officerSig: Uint8Array
  readonly sealed: SealedEnvelope
  /** A batch of one. */
  readonly batch: {
    readonly leaf: Uint8Array
    readonly signed: Uint8Array
    readonly auth: Uint8Array
  }
  readonly log: {
    readonly origin: string
    readonly commit: Uint8Array
    readonly statement: Uint8Array
  }
}

export function frozenMessage(): FrozenMessage {
  const node = signingKey("node", fill(1))
  const officer = signingKey("officer", fill(2))
  const random = (): Uint8Array => fill(0x23, 64)
  const draft = {
    type: "message/text",
    officer: "FR/o1",
    created: 1_800_000_000,
    nodes: ["BR", "KE"],
    document: "hello",
  }
  const id = draftIdentity(fill(0x20), random, draft)
  const content = draftContent("FR", id, draft)
  const officerSig = officer.sign(contentPae(content))
  const br = dayKeyPair(newPrekeyPeriod(0, fill(3)), 0)
  if (br === undefined) throw new Error("a whole period has its first day")
  const ke = kemKeyPair(fill(0x21))
  const sealed = sealEnvelope({
    sender: { node: "FR", keyId: node.keyId, incarnation: 1 },
    hedgeSecret: fill(0x20),
    random,
    id,
    content,
    officerSig,
    officerKeyId: officer.keyId,
    created: 1_800_000_060,
    expires: 1_800_086_400,
    precedence: 3,
    recipients: [
      { node: "BR", kemKey: br.publicKey, channelSeq: 1, channelPrev: fill(0) },
      { node: "KE", kemKey: ke.publicKey, channelSeq: 7, channelPrev: fill(0x22) },
    ],
    checkpoint: { size: 0, root: sha256(new Uint8Array(0)) },
    room: null,
  })

  const item = { id: sealed.messageId, blind: fill(0x25, 16) }
  const { root, auths } = signBatch("FR", node, [item])
  const [auth] = auths
  if (auth === undefined) throw new Error("a batch of one has one auth")
  const origin = "hub1.example/traffic/2027"
  const commit = commitmentOf(sha256, fill(0x24), sealed.messageId)
  return {
    node,
    officer,
    id,
    content,
    officerSig,
    sealed,
    batch: {
      leaf: batchLeaf(sha256, item.blind, item.id),
      signed: batchPae({ name: "FR", keyId: node.keyId }, 1, root),
      auth: encodeAuth(auth),
    },
    log: {
      origin,
      commit,
      statement: logStatementBody({ kind: "envelope", origin, commit, keyId: node.keyId, seq: 1 }),
    },
  }
}
