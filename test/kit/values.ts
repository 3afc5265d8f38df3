// Any value of the canonical subset, for property tests.

import fc from "fast-check"
import type { Value } from "../../protocol/codec.ts"

/** Text that the subset takes: no lone surrogate, no byte order mark in front. */
export const anyText: fc.Arbitrary<string> = fc
  .string({ unit: "binary", maxLength: 80 })
  .filter((text) => !text.startsWith("\ufeff"))

const leaf: fc.Arbitrary<Value> = fc.oneof(
  fc.constantFrom(null, true, false),
  fc.integer({ min: -(2 ** 31), max: 2 ** 32 - 1 }),
  fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, -32, -33, -128, -129, -32_768, -32_769),
  anyText,
  fc.uint8Array({ maxLength: 300 }),
)

const key = anyText.filter((text) => text !== "__proto__")

export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", maxDepth: 6 },
    leaf,
    fc.array(tie("value"), { maxLength: 20 }),
    fc
      .uniqueArray(fc.tuple(key, tie("value")), { maxLength: 20, selector: ([name]) => name })
      .map((pairs) => new Map(pairs)),
  ),
})).value
