// The frozen vectors: valid and invalid inputs, one failure each, with what comes out. Everything is made
// from fixed seeds, so the files can be made again at any time and must then be the same bytes.

import { BatchVerifier } from "../../protocol/batch.ts"
import { concat, equalBytes, fromHex, toHex, utf8 } from "../../protocol/bytes.ts"
import { type Value, encode, value } from "../../protocol/codec.ts"
import { Directory, type StatementKind } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { keyId } from "../../protocol/key-id.ts"
import type { Acceptance } from "../../protocol/link-messages.ts"
import { scan } from "../../protocol/scanner.ts"
import { decryptChunks, encryptChunks } from "../../keys/chunked-encryption.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { hedged } from "../../keys/hedge.ts"
import { openBase, sealBase } from "../../keys/hpke.ts"
import { openKeyFile, sealKeyFile } from "../../keys/key-file.ts"
import {
  type Delivery,
  openDelivery,
  parseDelivery,
  verifyDelivery,
} from "../../keys/open-envelope.ts"
import { pad, unpad } from "../../keys/padding.ts"
import { dayKeyPair, newPrekeyPeriod } from "../../keys/prekey-period.ts"
import { kemKeyPair } from "../../keys/sodium.ts"
import { decoders } from "./decoders.ts"
import { badDeliveries } from "./bad-deliveries.ts"
import { badStatements } from "./bad-statements.ts"
import { placedDirectory } from "./chains.ts"
import { countingRandom } from "./counting-random.ts"
import { post, prekeyOf } from "./mail.ts"
import { samples } from "./samples.ts"
import { type World, sampleWorlds } from "./vector-worlds.ts"

/** What JSON can hold: bytes as hex, maps as lists of pairs. */
type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain }

export type Vector = {
  readonly name: string
  /** The layout or rule, under the name that docs/PROTOCOL.md indexes. */
  readonly section: string
  readonly input: Plain
  readonly expect: { readonly ok: Plain } | { readonly error: string }
}

export type VectorFile = { readonly given?: Plain; readonly vectors: readonly Vector[] }

export function plain(item: unknown): Plain {
  if (item === null || item === undefined) return null
  if (item instanceof Uint8Array) return toHex(item)
  if (item instanceof Map) return { map: [...item].map((pair) => plain(pair)) }
  if (Array.isArray(item)) return item.map(plain)
  if (typeof item === "object") {
    const fields = Object.entries(item).filter(([, inner]) => inner !== undefined)
    return Object.fromEntries(fields.map(([key, inner]) => [key, plain(inner)]))
  }
  if (typeof item === "string" || typeof item === "number" || typeof item === "boolean") return item
  throw new RangeError(`${typeof item} in a vector`)
}

/** What a call gives, as a vector states it. */
export function outcomeOf(call: () => unknown): Vector["expect"] {
  try {
    return { ok: plain(call()) }
  } catch (error) {
    if (error instanceof ChappeError) return { error: error.code }
    throw error
  }
}

async function laterOutcomeOf(call: () => Promise<unknown>): Promise<Vector["expect"]> {
  try {
    return { ok: plain(await call()) }
  } catch (error) {
    if (error instanceof ChappeError) return { error: error.code }
    throw error
  }
}

// ---- Layouts

type Bent = readonly [why: string, input: Uint8Array]

/** One failure each: the bytes cut, grown, and every field of the array tree of another type. */
function bend(name: string, bytes: Uint8Array): readonly Bent[] {
  const ends: Bent[] = [
    ["empty", new Uint8Array(0)],
    ["cut short", bytes.slice(0, -1)],
    ["a byte left over", concat(bytes, Uint8Array.of(0))],
  ]
  const tree = treeOf(bytes)
  if (tree === undefined || name === "scanner" || name === "value") return ends
  const fields = pathsOf(tree, 3).map((path): Bent => {
    const at = path.length === 0 ? "the whole" : `field ${path.join(".")}`
    return [`${at} of another type`, encode(value, replaced(tree, path, otherType))]
  })
  const short = pathsOf(tree, 3).flatMap((path): Bent[] => {
    const found = path.reduce<Value>((item, i) => (item as readonly Value[])[i] ?? null, tree)
    if (!(found instanceof Uint8Array) || found.length === 0) return []
    return [[`field ${path.join(".")} a byte shorter`, encode(value, replaced(tree, path, cut))]]
  })
  const list = Array.isArray(tree) ? (tree as readonly Value[]) : []
  const lengths: Bent[] = [
    ["a field less", encode(value, list.slice(0, -1))],
    ["a field more", encode(value, [...list, null])],
    ["in a long form", concat(fromHex("dc00"), Uint8Array.of(list.length), bytes.slice(1))],
  ]
  return [...ends, ...lengths, ...fields, ...short]
}

function treeOf(bytes: Uint8Array): Value | undefined {
  try {
    scan(bytes)
    return readTree(bytes)
  } catch (error) {
    if (error instanceof ChappeError) return undefined
    throw error
  }
}

function readTree(bytes: Uint8Array): Value | undefined {
  const found = decoders.find(({ name }) => name === "value")?.decode(bytes) as Value | undefined
  return Array.isArray(found) ? found : undefined
}

function pathsOf(item: Value, depth: number, path: readonly number[] = []): (readonly number[])[] {
  if (!Array.isArray(item) || depth === 0) return [path]
  const inner = (item as readonly Value[])
    .slice(0, 16)
    .flatMap((field, i) => pathsOf(field, depth - 1, [...path, i]))
  return [path, ...inner]
}

function replaced(item: Value, path: readonly number[], change: (item: Value) => Value): Value {
  const [at, ...rest] = path
  if (at === undefined) return change(item)
  const list = item as readonly Value[]
  return list.map((field, i) => (i === at ? replaced(field, rest, change) : field))
}

const cut = (item: Value): Value => (item as Uint8Array).slice(1)

function otherType(item: Value): Value {
  if (item === null) return false
  if (typeof item === "string") return 7
  if (typeof item === "number") return "x"
  return null
}

const files: Readonly<Record<string, readonly string[]>> = {
  "encoding.json": ["scanner", "value", "hex", "base64", "padding"],
  "envelope.json": ["header", "auth", "leaf", "content", "inside"],
  "documents.json": ["document"],
  "receipts.json": ["receipt", "sealed receipt", "tombstone", "control", "signed control"],
  "links.json": ["hello", "signed hello", "frame"],
  "link-messages.json": ["link message"],
  "directory-layouts.json": [
    "multi-signed statement",
    "roster",
    "chain statement",
    "invitation",
    "join request",
    "directory bundle",
    "posted statement",
    "trust file",
  ],
  "log.json": [
    "entry",
    "promise",
    "checkpoint",
    "note",
    "signature lines",
    "proof",
    "fork file",
    "add-checkpoint",
    "witness size",
    "witness policy",
    "delivery policy",
    "verifier key",
    "tile",
    "entry bundle",
    "tile path",
    "evidence file",
  ],
}

/** Inputs that the scanner refuses, each for one reason; more stand in the unit tests. */
const notCanonical: readonly (readonly [string, string])[] = [
  ["a float", "cb3ff8000000000000"],
  ["a 64-bit integer", "cf0000000100000000"],
  ["an extension", "d6ff00000000"],
  ["c1", "c1"],
  ["127 in two bytes", "cc7f"],
  ["-1 in two bytes", "d0ff"],
  ["short text in a long form", "d90161"],
  ["a short array in a long form", "dc0001c0"],
  ["a length beyond the end", "c403ffff"],
  ["overlong UTF-8", "a2c0af"],
  ["a surrogate", "a3eda080"],
  ["above U+10FFFF", "a4f4908080"],
  ["a byte order mark in front", "a3efbbbf"],
  ["keys equal", "82a16101a16102"],
  ["keys falling", "82a16201a16102"],
  ["a key that is no text", "810102"],
  ["__proto__", "81a95f5f70726f746f5f5f01"],
  ["depth 17", `${"91".repeat(16)}c0`],
]

function layoutVectors(sections: readonly string[]): VectorFile {
  const all = samples()
  const vectors = sections.flatMap((section) => {
    const decoder = decoders.find(({ name }) => name === section)
    if (decoder === undefined) throw new RangeError(`no decoder ${section}`)
    const good = Object.entries(all[section] ?? {})
    const made: Vector[] = good.map(([name, bytes]) =>
      vector(section, name, bytes, () => decoder.decode(bytes)),
    )
    const bad = good.flatMap(([name, bytes], i) =>
      bend(section, bytes)
        .slice(i === 0 ? 0 : 3)
        .map(([why, input]) =>
          vector(section, `${name}: ${why}`, input, () => decoder.decode(input)),
        ),
    )
    if (section === "scanner" || section === "value")
      for (const [why, hex] of notCanonical)
        bad.push(vector(section, why, fromHex(hex), () => decoder.decode(fromHex(hex))))
    // What is still good after a change belongs among the good ones; it is not a failure.
    return [...made, ...bad.filter((one) => "error" in one.expect)]
  })
  return { vectors }
}

function vector(section: string, name: string, input: Uint8Array, call: () => unknown): Vector {
  return { name, section, input: toHex(input), expect: outcomeOf(call) }
}

// ---- Cryptography

const fill = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte)

/** The rules behind `crypto.json`: from a vector's input to what comes out. */
export const cryptoRules: Readonly<
  Record<string, (input: Readonly<Record<string, string>>) => unknown>
> = {
  "chunked encryption": ({ key = "", context = "", ciphertext = "" }) =>
    sha256(
      decryptChunks({
        key: fromHex(key),
        context: fromHex(context),
        ciphertext: fromHex(ciphertext),
      }),
    ),
  "chunked encryption, sealing": ({ key = "", context = "", salt = "", plaintext = "" }) =>
    encryptChunks({
      key: fromHex(key),
      context: fromHex(context),
      salt: fromHex(salt),
      plaintext: fromHex(plaintext),
    }),
  padding: ({ padded = "" }) => unpad(fromHex(padded)),
  "HPKE wrap": ({ secret = "", info = "", sealed = "" }) =>
    openBase({ secret: fromHex(secret), info: fromHex(info), sealed: fromHex(sealed) }),
  "HPKE wrap, sealing": ({ publicKey = "", info = "", plaintext = "", seed = "" }) =>
    sealBase({
      publicKey: fromHex(publicKey),
      info: fromHex(info),
      plaintext: fromHex(plaintext),
      seed: fromHex(seed),
    }),
  prekeys: ({ seed = "", day = "" }) => {
    const pair = dayKeyPair(newPrekeyPeriod(20_000, fromHex(seed)), 20_000 + Number(day))
    if (pair === undefined) throw new ChappeError("prekey-gone")
    return { seed: pair.secret, keyId: keyId(sha256, "prekey", pair.publicKey) }
  },
  hedge: ({ secret = "", random = "", binding = "", label = "" }) =>
    hedged(fromHex(secret), () => fromHex(random), sha256(fromHex(binding)))(fromHex(label), 32),
}

const flip = (hex: string, at: number): string => {
  const bytes = fromHex(hex)
  const index = at < 0 ? bytes.length + at : at
  bytes[index] = (bytes[index] ?? 0) ^ 1
  return toHex(bytes)
}

function cryptoVectors(): VectorFile {
  const made: Vector[] = []
  const add = (section: string, name: string, input: Readonly<Record<string, string>>): void => {
    const rule = cryptoRules[section]
    if (rule === undefined) throw new RangeError(`no rule ${section}`)
    made.push({ name, section, input, expect: outcomeOf(() => rule(input)) })
  }

  const key = toHex(fill(32, 4))
  const context = toHex(utf8("context"))
  const salt = toHex(fill(24, 5))
  for (const length of [0, 1, 300]) {
    const plaintext = toHex(fill(length, 7))
    add("chunked encryption, sealing", `${length} bytes`, { key, context, salt, plaintext })
  }
  const sealedOf = (length: number): string =>
    toHex(
      encryptChunks({
        key: fill(32, 4),
        context: utf8("context"),
        salt: fill(24, 5),
        plaintext: Uint8Array.from({ length }, (_, i) => i % 256),
      }),
    )
  const whole = sealedOf(17_000)
  const open = (name: string, changes: Readonly<Record<string, string>>): void =>
    add("chunked encryption", name, { key, context, ciphertext: whole, ...changes })
  open("two chunks", {})
  open("a full chunk and an empty one", { ciphertext: sealedOf(16_384) })
  open("another key", { key: toHex(fill(32, 5)) })
  open("another context", { context: toHex(utf8("contexT")) })
  open("salt changed", { ciphertext: flip(whole, 0) })
  open("commitment changed", { ciphertext: flip(whole, 24) })
  open("first chunk changed", { ciphertext: flip(whole, 56) })
  open("last tag changed", { ciphertext: flip(whole, -1) })
  open("cut at the chunk's border", { ciphertext: whole.slice(0, 2 * (56 + 16_400)) })
  open("cut inside a tag", { ciphertext: whole.slice(0, 2 * (56 + 16_400 + 15)) })
  open("cut inside the head", { ciphertext: whole.slice(0, 2 * 55) })
  open("a byte appended", { ciphertext: `${whole}00` })

  const padded = toHex(pad(utf8("hello")))
  add("padding", "five bytes", { padded })
  add("padding", "nothing", { padded: toHex(pad(new Uint8Array(0))) })
  add("padding", "256 bytes", { padded: toHex(pad(fill(256, 1))) })
  add("padding", "no mark", { padded: "00".repeat(256) })
  add("padding", "another mark", { padded: padded.replace("80", "81") })
  add("padding", "hidden bytes", { padded: `${padded.slice(0, -2)}01` })
  add("padding", "too long", { padded: `${padded}${"00".repeat(16)}` })
  add("padding", "too short", { padded: padded.slice(0, -2) })
  add("padding", "empty", { padded: "" })

  const pair = kemKeyPair(fill(32, 6))
  const publicKey = toHex(pair.publicKey)
  const secret = toHex(pair.secret)
  const info = toHex(utf8("info"))
  const plaintext = toHex(fill(32, 7))
  const seed = toHex(fill(64, 8))
  add("HPKE wrap, sealing", "a content key", { publicKey, info, plaintext, seed })
  add("HPKE wrap, sealing", "a malformed ML-KEM key", {
    publicKey: "ff".repeat(1_216),
    info,
    plaintext,
    seed,
  })
  const zeroHalf = `${publicKey.slice(0, 2 * 1_184)}${"00".repeat(32)}`
  add("HPKE wrap, sealing", "a zero X25519 half", { publicKey: zeroHalf, info, plaintext, seed })
  const wrap = toHex(
    sealBase({
      publicKey: pair.publicKey,
      info: utf8("info"),
      plaintext: fill(32, 7),
      seed: fill(64, 8),
    }),
  )
  const unwrap = (name: string, changes: Readonly<Record<string, string>>): void =>
    add("HPKE wrap", name, { secret, info, sealed: wrap, ...changes })
  unwrap("a content key", {})
  unwrap("another secret", { secret: toHex(fill(32, 9)) })
  unwrap("another info", { info: toHex(utf8("infO")) })
  unwrap("the ML-KEM part changed", { sealed: flip(wrap, 0) })
  unwrap("the X25519 part changed", { sealed: flip(wrap, 1_119) })
  unwrap("the ciphertext changed", { sealed: flip(wrap, 1_120) })
  unwrap("the tag changed", { sealed: flip(wrap, -1) })
  unwrap("cut short", { sealed: wrap.slice(0, -2) })
  unwrap("empty", { sealed: "" })

  const periodSeed = toHex(fill(32, 3))
  for (const day of ["0", "1", "27"]) add("prekeys", `day ${day}`, { seed: periodSeed, day })
  add("prekeys", "day 28", { seed: periodSeed, day: "28" })

  const draw = { secret: toHex(fill(32, 1)), random: toHex(fill(64, 2)), binding: "00" }
  add("hedge", "a content key", { ...draw, label: toHex(utf8("content-key")) })
  add("hedge", "another binding", { ...draw, binding: "01", label: toHex(utf8("content-key")) })
  add("hedge", "a KEM seed", { ...draw, label: toHex(utf8("kem\0FR")) })
  return { vectors: made }
}

// ---- Key files

export async function openKeyFileVector(input: {
  readonly file: string
  readonly secret: string
}): Promise<Vector["expect"]> {
  const unlock = { kind: "secret", secret: fromHex(input.secret) } as const
  return laterOutcomeOf(() => openKeyFile(fromHex(input.file), unlock))
}

async function keyFileVectors(): Promise<VectorFile> {
  const secret = fill(32, 1)
  const entries = [
    { use: "node", publicKey: fill(32, 2), secret: fill(32, 3) },
    { use: "hedge", publicKey: new Uint8Array(0), secret: fill(32, 4) },
  ] as const
  const unlock = { kind: "secret", secret } as const
  const file = await sealKeyFile({ entries, unlock, random: countingRandom("key file") })
  const flipped = (at: number): Uint8Array => {
    const bytes = Uint8Array.from(file)
    const index = at < 0 ? bytes.length + at : at
    bytes[index] = (bytes[index] ?? 0) ^ 1
    return bytes
  }
  // mp[1, ["key"], salt, commit, nonce, ciphertext]: 1 + 1 + 5 + 2 bytes in front of the salt.
  const cases: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ["two secrets", file, secret],
    ["another secret", file, fill(32, 9)],
    ["a secret too short", file, fill(31, 1)],
    ["salt changed", flipped(9), secret],
    ["commitment changed", flipped(9 + 16 + 2), secret],
    ["nonce changed", flipped(9 + 16 + 2 + 32 + 2), secret],
    ["ciphertext changed", flipped(-20), secret],
    ["tag changed", flipped(-1), secret],
    ["version 2", flipped(1), secret],
    ["cut short", file.slice(0, -1), secret],
    ["a byte left over", concat(file, Uint8Array.of(0)), secret],
    ["empty", new Uint8Array(0), secret],
    ["Argon2id with 1 KiB", argonFile(1, 3, 1), secret],
    ["Argon2id with 64 GiB", argonFile(67_108_864, 3, 1), secret],
    ["Argon2id with 11 passes", argonFile(65_536, 11, 1), secret],
    ["Argon2id with 2 lanes", argonFile(65_536, 3, 2), secret],
  ]
  const vectors: Vector[] = []
  for (const [name, bytes, key] of cases) {
    const input = { file: toHex(bytes), secret: toHex(key) }
    vectors.push({ name, section: "key file", input, expect: await openKeyFileVector(input) })
  }
  return { vectors }
}

function argonFile(memoryKib: number, passes: number, lanes: number): Uint8Array {
  const kdf = ["argon2id", memoryKib, passes, lanes]
  return encode(value, [1, kdf, fill(16, 1), fill(32, 2), fill(24, 3), fill(40, 4)])
}

// ---- Directory statements and deliveries

type GivenDirectory = {
  readonly anchor: Plain
  readonly statements: readonly (readonly [StatementKind, string])[]
}

function givenDirectory(world: World): GivenDirectory {
  return {
    anchor: plain(world.anchor),
    statements: world.statements.map(({ kind, statement }) => [kind, toHex(statement)] as const),
  }
}

/** Takes a statement in behind the given ones; states what the directory then knows of forks. */
export function applyVector(world: World, kind: StatementKind, hex: string): Vector["expect"] {
  const directory = new Directory(crypto, world.anchor)
  for (const { kind: known, statement } of world.statements) directory.apply(known, statement)
  return outcomeOf(() => ({ id: directory.apply(kind, fromHex(hex)).id }))
}

function directoryVectors(): VectorFile {
  const { directory: world } = sampleWorlds()
  const vectors = badStatements(world).map(([section, name, { kind, statement }]): Vector => {
    const hex = toHex(statement)
    return { name, section, input: [kind, hex], expect: applyVector(world, kind, hex) }
  })
  return { given: plain(givenDirectory(world)), vectors }
}

export type DeliveryFacts = { readonly me: string; readonly now: number }

/** Opens a delivery as `me`, at `now`, with the day's prekey and nothing else. */
export function openVector(
  world: World,
  directory: Directory,
  delivery: Delivery,
  { me, now }: DeliveryFacts,
): Vector["expect"] {
  const pair = prekeyOf(world, me)
  const id = keyId(sha256, "prekey", pair.publicKey)
  const facts = { me, now, directory, batches: new BatchVerifier(crypto, 1) }
  const prekey = (wanted: Uint8Array): Uint8Array | undefined =>
    equalBytes(wanted, id) ? pair.secret : undefined
  return outcomeOf(() => {
    const verified = verifyDelivery(parseDelivery(delivery), facts)
    return { content: openDelivery(verified, { ...facts, prekey }).inside.content }
  })
}

/** Back from JSON. */
export function deliveryOfPlain(found: Plain): Delivery {
  const item = found as {
    readonly header: string
    readonly auth: string
    readonly leaf: string
    readonly path: readonly string[]
    readonly body: string
    readonly acceptance: {
      readonly entry: string
      readonly salt: string | null
      readonly promise: string
      readonly index: number
      readonly path: readonly string[]
    }
  }
  const { acceptance } = item
  const read: Acceptance = {
    entry: fromHex(acceptance.entry),
    salt: acceptance.salt === null ? null : fromHex(acceptance.salt),
    promise: acceptance.promise,
    index: acceptance.index,
    path: acceptance.path.map(fromHex),
  }
  return {
    header: fromHex(item.header),
    auth: fromHex(item.auth),
    leaf: fromHex(item.leaf),
    path: item.path.map(fromHex),
    body: fromHex(item.body),
    acceptance: read,
  }
}

function deliveryVectors(): VectorFile {
  const { delivery: world } = sampleWorlds()
  const directory = placedDirectory(world)
  const me = "JP"
  const now = world.at + 100
  const pair = prekeyOf(world, me)
  const vectors = badDeliveries(world, post(world)).map(([name, delivery, facts]): Vector => {
    const asked = { me, now, ...facts }
    return {
      name,
      section: "release order",
      input: { ...asked, delivery: plain(delivery) },
      expect: openVector(world, directory, delivery, asked),
    }
  })
  const given = {
    ...givenDirectory(world),
    origin: "hub1/directory",
    prekeys: { JP: toHex(pair.secret) },
  }
  return { given: plain(given), vectors }
}

// ---- All of them

export async function makeVectors(): Promise<ReadonlyMap<string, string>> {
  const made = new Map<string, VectorFile>()
  for (const [file, sections] of Object.entries(files)) made.set(file, layoutVectors(sections))
  made.set("crypto.json", cryptoVectors())
  made.set("key-files.json", await keyFileVectors())
  made.set("directory.json", directoryVectors())
  made.set("deliveries.json", deliveryVectors())
  return new Map([...made].map(([name, file]) => [name, `${JSON.stringify(file, null, 1)}\n`]))
}

/** The valid inputs of a layout, as the files hold them. */
export function seedsOf(file: string): ReadonlyMap<string, readonly Uint8Array[]> {
  const { vectors } = JSON.parse(file) as VectorFile
  const seeds = new Map<string, Uint8Array[]>()
  for (const { section, input, expect } of vectors) {
    if ("error" in expect || typeof input !== "string") continue
    seeds.set(section, [...(seeds.get(section) ?? []), fromHex(input)])
  }
  return seeds
}

export const layoutFiles: readonly string[] = Object.keys(files)
