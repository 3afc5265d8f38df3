// Our own frozen vectors: the files hold, and the generator still makes the same bytes, twice over.

import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { isErrorCode } from "../../protocol/errors.ts"
import { decoderOf } from "../kit/decoders.ts"
import { fromHex } from "../../protocol/bytes.ts"
import {
  type VectorFile,
  applyVector,
  cryptoRules,
  deliveryOfPlain,
  layoutFiles,
  makeVectors,
  openKeyFileVector,
  openVector,
  outcomeOf,
} from "../kit/vectors.ts"
import { placedDirectory } from "../kit/chains.ts"
import { sampleWorlds } from "../kit/vector-worlds.ts"

const textOf = (name: string): string => readFileSync(new URL(name, import.meta.url), "utf8")
const bytesOf = (input: unknown): Uint8Array => fromHex(input as string)
const fileOf = (name: string): VectorFile => JSON.parse(textOf(name)) as VectorFile

test.each(layoutFiles)("%s: every decoder gives what the file says", (name) => {
  const { vectors } = fileOf(name)
  const again = vectors.map(({ section, input, ...rest }) => {
    const bytes = bytesOf(input)
    return {
      name: rest.name,
      section,
      input,
      expect: outcomeOf(() => decoderOf(section).decode(bytes)),
    }
  })
  expect(again).toEqual(vectors)
  // Valid inputs are the only spelling of what they say.
  for (const { section, input, expect: expected } of vectors) {
    const bytes = bytesOf(input)
    const encoded = "ok" in expected ? decoderOf(section).again?.(bytes) : undefined
    expect(encoded ?? bytes).toEqual(bytes)
  }
})

test("crypto.json: every rule gives what the file says", () => {
  const { vectors } = fileOf("crypto.json")
  for (const { name, section, input, expect: expected } of vectors) {
    const rule = cryptoRules[section]
    const found = outcomeOf(() => rule?.(input as Readonly<Record<string, string>>))
    expect([name, found]).toEqual([name, expected])
  }
})

test("key-files.json: every key file opens or not as the file says", async () => {
  for (const { name, input, expect: expected } of fileOf("key-files.json").vectors) {
    const found = await openKeyFileVector(
      input as { readonly file: string; readonly secret: string },
    )
    expect([name, found]).toEqual([name, expected])
  }
})

test("directory.json: every statement is taken in or refused as the file says", () => {
  const world = sampleWorlds().directory
  for (const { name, input, expect: expected } of fileOf("directory.json").vectors) {
    const [kind, hex] = input as readonly ["roster" | "chain" | "policy", string]
    expect([name, applyVector(world, kind, hex)]).toEqual([name, expected])
  }
})

test("deliveries.json: every delivery opens or not as the file says", () => {
  const world = sampleWorlds().delivery
  const directory = placedDirectory(world)
  for (const { name, input, expect: expected } of fileOf("deliveries.json").vectors) {
    const asked = input as { readonly me: string; readonly now: number; readonly delivery: string }
    const found = openVector(world, directory, deliveryOfPlain(asked.delivery), asked)
    expect([name, found]).toEqual([name, expected])
  }
})

test("each code that a receiver may answer has a delivery", () => {
  const codes = fileOf("deliveries.json").vectors.map(({ expect: expected }) =>
    "error" in expected ? expected.error : "ok",
  )
  const wanted =
    "size not-canonical suite entry sender-key signature too-early expired not-for-me slice body prekey-gone wrap key-commitment chunk padding officer-key capability officer-signature recipients content-commitment room hq-missing document ok"
  expect([...new Set(codes)].toSorted()).toEqual(wanted.split(" ").toSorted())
})

test("the generator makes the same bytes again, and they are the files'", async () => {
  const [first, second] = [await makeVectors(), await makeVectors()]
  for (const [name, text] of first) {
    expect([name, second.get(name) === text]).toEqual([name, true])
    expect([name, textOf(name) === text]).toEqual([name, true])
    const { vectors } = JSON.parse(text) as VectorFile
    const names = vectors.map(({ section, name: one }) => `${section}: ${one}`)
    expect(new Set(names).size).toBe(names.length)
    for (const { expect: expected } of vectors)
      expect("ok" in expected || isErrorCode(expected.error)).toBe(true)
  }
})
