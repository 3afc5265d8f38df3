import { expect, test } from "vitest"
import { openRecord, sealRecord } from "../../keys/sealed-record.ts"
import { utf8 } from "../../protocol/bytes.ts"
import { countingRandom } from "../kit/counting-random.ts"

const dataKey = new Uint8Array(32).fill(1)
const place = { table: "inbox", key: utf8("FR"), position: 7 }
const plaintext = utf8("two officers, one record")
const sealed = sealRecord(dataKey, place, plaintext, countingRandom("record"))
const tampered = expect.objectContaining({ code: "tampered" })

test("a record opens at its place", () => {
  expect(openRecord(dataKey, place, sealed)).toEqual(plaintext)
  expect(sealed.length).toBe(plaintext.length + 40)
})

test("sealing twice gives different bytes", () => {
  const random = countingRandom("twice")
  expect(sealRecord(dataKey, place, plaintext, random)).not.toEqual(
    sealRecord(dataKey, place, plaintext, random),
  )
})

test.each([
  ["table", { ...place, table: "outbox" }],
  ["key", { ...place, key: utf8("JP") }],
  ["position", { ...place, position: 8 }],
])("a record at another %s is refused", (_, other) => {
  expect(() => openRecord(dataKey, other, sealed)).toThrow(tampered)
})

test("another data key, any changed byte and any cut are refused", () => {
  expect(() => openRecord(new Uint8Array(32), place, sealed)).toThrow(tampered)
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.map((byte, at) => (at === i ? byte ^ 0x80 : byte))
    expect(() => openRecord(dataKey, place, changed)).toThrow(tampered)
    expect(() => openRecord(dataKey, place, sealed.slice(0, i))).toThrow(tampered)
  }
})
