// Hostile bytes for every decoder, from the frozen vectors' valid inputs. FUZZ_INPUTS sets how many each
// gets, 50,000 by default; `npm run fuzz -- 1000000` is the long form.

import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { concat, equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { placedDirectory } from "../kit/chains.ts"
import { decoders } from "../kit/decoders.ts"
import { bombs, pelt, readsPerByteMax, scannerReads } from "../kit/fuzz.ts"
import { post } from "../kit/mail.ts"
import { mutate, prng } from "../kit/mutate.ts"
import { sampleWorlds } from "../kit/vector-worlds.ts"
import { layoutFiles, openVector, seedsOf } from "../kit/vectors.ts"

const inputs = Number(process.env["FUZZ_INPUTS"] ?? 50_000)

const seeds = new Map(
  layoutFiles.flatMap((name) => {
    const text = readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8")
    return [...seedsOf(text)]
  }),
)

describe("mutated inputs", () => {
  it.each(decoders)(
    "$name: only errors of the table, one spelling",
    (decoder) => {
      const own = seeds.get(decoder.name) ?? []
      expect(own.length).toBeGreaterThan(0)
      const { taken, refused } = pelt(decoder, own, inputs, 20_270_101)
      expect(taken + refused).toBe(inputs)
      expect(refused).toBeGreaterThan(0)
    },
    20_000 + inputs,
  )

  it("the scanner reads no byte often, whatever an input claims", () => {
    const random = prng(1)
    const all = [...seeds.values()].flat()
    const mutated = Array.from({ length: 300 }, () => mutate(random, random.pick(all)))
    const worst = [...mutated, ...bombs()].map(
      (input) => scannerReads(input) / Math.max(1, input.length),
    )
    expect(Math.max(...worst)).toBeLessThanOrEqual(readsPerByteMax)
  }, 60_000)

  it("bombs are refused by every decoder", () => {
    const opened = decoders
      .filter(({ name }) => name !== "scanner" && name !== "value")
      .flatMap((decoder) =>
        bombs().map((bomb) => [decoder.name, isTaken(() => decoder.decode(bomb))]),
      )
      .filter(([, taken]) => taken === true)
    expect(opened).toEqual([])
  })
})

function isTaken(decode: () => unknown): boolean {
  try {
    decode()
    return true
  } catch (error) {
    if (error instanceof ChappeError) return false
    throw error
  }
}

describe("mutated deliveries and statements", () => {
  it("open to the same content or not at all", () => {
    const world = sampleWorlds().delivery
    const directory = placedDirectory(world)
    const { delivery } = post(world)
    const random = prng(2)
    const facts = { me: "JP", now: world.at + 100 }
    const codes = new Map<string, number>()
    for (let i = 0; i < inputs / 25; i++) {
      const part = random.pick(["header", "auth", "leaf", "body", "entry"] as const)
      const acceptance = {
        ...delivery.acceptance,
        entry: mutate(random, delivery.acceptance.entry),
      }
      const bent =
        part === "entry"
          ? { ...delivery, acceptance }
          : { ...delivery, [part]: mutate(random, delivery[part]) }
      const found = openVector(world, directory, bent, facts)
      const code = "error" in found ? found.error : "ok"
      codes.set(code, (codes.get(code) ?? 0) + 1)
      // What opens is what was sent: a change that does not show was none.
      const same = concat(delivery.header, delivery.auth, delivery.leaf, delivery.body)
      const changed = !equalBytes(concat(bent.header, bent.auth, bent.leaf, bent.body), same)
      expect(code === "ok" && changed).toBe(false)
    }
    expect(codes.size).toBeGreaterThan(5)
  }, 120_000)

  it("change nothing in a directory", () => {
    const world = sampleWorlds().directory
    const directory = placedDirectory(world)
    const known = directory.statements().length
    const random = prng(3)
    for (let i = 0; i < inputs / 50; i++) {
      const { kind, statement } = random.pick(world.statements)
      isTaken(() => directory.apply(kind, mutate(random, statement)))
    }
    expect(directory.statements().length).toBe(known)
    expect(directory.forks()).toEqual([])
  }, 120_000)
})
