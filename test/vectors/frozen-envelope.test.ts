// The whole envelope of the reference page: fixed seeds, every figure frozen.

import { expect, test } from "vitest"
import { signBatch } from "../../keys/batch-signer.ts"
import { sha256 } from "../../keys/crypto.ts"
import { batchBlind } from "../../keys/seal-envelope.ts"
import { toHex } from "../../protocol/bytes.ts"
import { commitmentOf, logStatementBody } from "../../protocol/entry.ts"
import { coreBytes, decodeHeader } from "../../protocol/envelope.ts"
import { frozenMessage } from "../kit/frozen-message.ts"

const fill = (byte: number, length = 32): Uint8Array => new Uint8Array(length).fill(byte)

test("the frozen envelope seals to the same bytes", () => {
  const { id, content, sealed } = frozenMessage()
  expect(toHex(id)).toBe("21a80c8644f1f91c81391e1d47d05873")
  expect(content.length).toBe(61)
  expect(toHex(sealed.contentCommitKey)).toBe(
    "bdde5f5fcbb26b93c408db70a40b4d94ec30e9603ef53df243481d82a1e9a84a",
  )
  expect(sealed.body.length).toBe(328)
  expect(toHex(sha256(coreBytes(sealed.header)))).toBe(
    "a52fc7e6fb55c454aa87cd46362acf5d49a2882b333e4d870994ec5c513c24fd",
  )
  expect(toHex(decodeHeader(sealed.header).slicesRoot)).toBe(
    "29c9519f52696fe8d7ae58f0c87f43b9af4d7d93d88b6499bd9d567e57e6cb39",
  )
  expect(sealed.header.length).toBe(241)
  expect(toHex(sealed.messageId)).toBe(
    "371ac9860fd9ec0b73ea4b38cc44383e5c707af3eec5ab69ce37ce30055b590f",
  )
})

test("its batch of one and its log commitment are the frozen ones", () => {
  const { node, sealed } = frozenMessage()
  const { root } = signBatch("FR", node, [{ id: sealed.messageId, blind: fill(0x25, 16) }])
  expect(toHex(root)).toBe("44d5a31356cec8ebcc84e070319955ee11d5d21cc41284b4028ae2e48cc6a5c6")
  const commit = commitmentOf(sha256, fill(0x24), sealed.messageId)
  expect(toHex(commit)).toBe("d57d5d70b65440be18eeabd72aad35bfe737e736243c34816d59e47e7a4d52a9")
  const origin = "hub1.example/traffic/2027"
  const body = logStatementBody({ kind: "envelope", origin, commit, keyId: node.keyId, seq: 1 })
  expect(body.length).toBe(84)
})

test("blinds differ for each message", () => {
  const random = (): Uint8Array => fill(0x23, 64)
  expect(batchBlind(fill(0x20), random, fill(1))).not.toEqual(batchBlind(fill(0x20), random, fill(2)))
})
