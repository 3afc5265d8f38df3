import { describe, expect, test } from "vitest"
import { argon2id } from "../../keys/argon2-worker.ts"
import { generateKeyPair } from "../../keys/ed25519.ts"
import { type KeyEntry, type Unlock, openKeyFile, sealKeyFile } from "../../keys/key-file.ts"
import { toHex, utf8 } from "../../protocol/bytes.ts"
import { type Value, decode, encode, value } from "../../protocol/codec.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { countingRandom } from "../kit/counting-random.ts"

const cost = { memoryKib: 65_536, passes: 1 }
const secret: Unlock = { kind: "secret", secret: new Uint8Array(32).fill(9) }
const passphrase = (text: string): Unlock => ({ kind: "passphrase", passphrase: text })

const seed = new Uint8Array(32).fill(1)
const entries: readonly KeyEntry[] = [
  { use: "node", publicKey: generateKeyPair(seed).publicKey, secret: seed },
  { use: "data", publicKey: new Uint8Array(0), secret: new Uint8Array(32).fill(2) },
]

const seal = (unlock: Unlock) =>
  sealKeyFile({ entries, unlock, random: countingRandom("key file"), cost })

/** A key file's six fields, one of them replaced. */
function withField(file: Uint8Array, index: number, change: (old: Value) => Value): Uint8Array {
  const fields = decode(value, file, file.length)
  if (!Array.isArray(fields)) throw new TypeError("a key file is an array")
  return encode(
    value,
    (fields as readonly Value[]).map((field, i) => (i === index ? change(field) : field)),
  )
}

const flipped = (old: Value): Value => {
  if (!(old instanceof Uint8Array)) throw new TypeError("not bytes")
  return old.map((byte, i) => (i === 3 ? byte ^ 0x10 : byte))
}

test("a key file opens with its secret and gives the same entries", async () => {
  expect(await openKeyFile(await seal(secret), secret)).toEqual(entries)
})

test("a key file opens with its passphrase in any Unicode form", async () => {
  const file = await seal(passphrase("caf\u00e9 de la Paix"))
  expect(await openKeyFile(file, passphrase("cafe\u0301 de la Paix"))).toEqual(entries)
})

test("Argon2id agrees with another implementation", async () => {
  const input = { passphrase: utf8("chéri"), salt: new Uint8Array(16).fill(3), memoryKib: 65_536 }
  expect(toHex(await argon2id({ ...input, passes: 1 }))).toBe(
    "f800b4faa4333b0007c023164a35107def07edbb3d8eafedc8b1442703791689",
  )
  expect(toHex(await argon2id({ ...input, passes: 3 }))).toBe(
    "0c306340dfb68dd63f52e11c2b490f3b8b402a50827166e61c23064d590b4eee",
  )
})

test("no secret and no public key stands in the file as it is", async () => {
  const hex = toHex(await seal(secret))
  for (const entry of entries) expect(hex).not.toContain(toHex(entry.secret))
  expect(hex).not.toContain(toHex(entries[0]?.publicKey ?? seed))
})

describe("a key file refuses", () => {
  test("a wrong passphrase and a wrong secret", async () => {
    await expect(
      openKeyFile(await seal(passphrase("right")), passphrase("wrong")),
    ).rejects.toMatchObject({ code: "passphrase" })
    const wrong: Unlock = { kind: "secret", secret: new Uint8Array(32) }
    await expect(openKeyFile(await seal(secret), wrong)).rejects.toMatchObject({
      code: "passphrase",
    })
  })

  test("a secret of another length, and a secret where a passphrase belongs", async () => {
    const short: Unlock = { kind: "secret", secret: new Uint8Array(31) }
    await expect(openKeyFile(await seal(secret), short)).rejects.toMatchObject({
      code: "passphrase",
    })
    await expect(openKeyFile(await seal(secret), passphrase("x"))).rejects.toMatchObject({
      code: "passphrase",
    })
  })

  test.each([
    ["64 GiB of memory", ["argon2id", 67_108_864, 3, 1]],
    ["1 KiB of memory", ["argon2id", 1, 3, 1]],
    ["no passes", ["argon2id", 65_536, 0, 1]],
    ["eleven passes", ["argon2id", 65_536, 11, 1]],
    ["two lanes", ["argon2id", 65_536, 3, 2]],
  ] as const)("%s, before the work", async (_, kdf) => {
    const file = withField(await seal(secret), 1, () => kdf)
    await expect(openKeyFile(file, passphrase("x"))).rejects.toMatchObject({ code: "key-file" })
  })

  test("an unknown way to stretch a passphrase", async () => {
    const file = withField(await seal(secret), 1, () => ["scrypt"])
    await expect(openKeyFile(file, secret)).rejects.toMatchObject({ code: "key-file" })
  })

  test("a changed salt and a changed commitment like a wrong passphrase", async () => {
    const file = await seal(secret)
    for (const field of [2, 3])
      await expect(openKeyFile(withField(file, field, flipped), secret)).rejects.toMatchObject({
        code: "passphrase",
      })
  })

  test("a changed nonce and a changed ciphertext as tampered", async () => {
    const file = await seal(secret)
    for (const field of [4, 5])
      await expect(openKeyFile(withField(file, field, flipped), secret)).rejects.toMatchObject({
        code: "tampered",
      })
  })

  test("every single changed byte and every cut", async () => {
    const file = await seal(secret)
    const bad = [Uint8Array.of(...file, 0)]
    for (let i = 0; i < file.length; i++) {
      bad.push(file.map((byte, at) => (at === i ? byte ^ 1 : byte)))
      bad.push(file.slice(0, i))
    }
    for (const changed of bad)
      await expect(openKeyFile(changed, secret)).rejects.toBeInstanceOf(ChappeError)
  })
})

test("sealing asks for sane work only", async () => {
  await expect(
    sealKeyFile({
      entries,
      unlock: passphrase("x"),
      random: countingRandom("x"),
      cost: { memoryKib: 1_024, passes: 1 },
    }),
  ).rejects.toThrow(RangeError)
})
