// Policy files (C2SP tlog-policy): which logs, and whose cosignatures suffice. docs/PROTOCOL.md, "Policy files".
//
//   log hub1.example/traffic/2027+<8 hex>+<base64> https://hub1.example/traffic/2027/
//   witness FR <vkey> https://…
//   group europe 2 FR ES IT
//   quorum europe
//
// The file is octets, not text: names are compared byte by byte, so each octet is one character here.
// Anything malformed refuses the whole file: a policy that cannot be read trusts nobody.

import { fromUtf8, toHex } from "./bytes.ts"
import type { OpenedCheckpoint } from "./checkpoint.ts"
import type { Admit, Sha256 } from "./crypto-ports.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { type VerifierKey, noteKeyTypes, parseVerifierKey } from "./verifier-key.ts"

export type PolicyLog = { readonly key: VerifierKey; readonly url: string | undefined }
export type PolicyWitness = PolicyLog & { readonly name: string }
type PolicyGroup = {
  readonly name: string
  readonly threshold: number
  readonly members: readonly string[]
}

/** `quorum` is the name of a witness or group, or undefined for `none`. */
export type Policy = {
  readonly logs: readonly PolicyLog[]
  readonly witnesses: readonly PolicyWitness[]
  readonly groups: readonly PolicyGroup[]
  readonly quorum: string | undefined
}

type KeyPorts = { readonly sha256: Sha256; readonly admit: Admit }

/** Refused with `policy`, naming the line. */
export function parsePolicy(crypto: KeyPorts, bytes: Uint8Array): Policy {
  if (bytes.length > limits.entryBytesMax)
    throw new ChappeError("policy", `a policy of ${bytes.length} bytes`)
  const lines = octets(bytes).split("\n")
  if (lines.pop() !== "") throw new ChappeError("policy", "the last line does not end")
  const reader = new PolicyReader(crypto)
  lines.forEach((line, i) => {
    try {
      reader.line(line)
    } catch (cause) {
      if (!(cause instanceof ChappeError)) throw cause
      throw new ChappeError("policy", `line ${i + 1}: ${cause.message}`, { cause })
    }
  })
  return reader.policy()
}

class PolicyReader {
  readonly #crypto: KeyPorts
  readonly #logs: PolicyLog[] = []
  readonly #witnesses: PolicyWitness[] = []
  readonly #groups: PolicyGroup[] = []
  readonly #names = new Set<string>()
  readonly #grouped = new Set<string>()
  readonly #publicKeys = new Set<string>()
  #quorum: string | undefined

  constructor(crypto: KeyPorts) {
    this.#crypto = crypto
  }

  line(line: string): void {
    if (!/^[\t\x20-\x7e\x80-\xff]*$/u.test(line)) refuse("a control character")
    const [word, ...items] = line.split(/[ \t]+/u).filter((item) => item !== "")
    if (word === undefined || word.startsWith("#")) return
    if (word === "log") return this.#log(items)
    if (word === "witness") return this.#witness(items)
    if (word === "group") return this.#group(items)
    if (word === "quorum") return this.#setQuorum(items)
    refuse("an unknown first word")
  }

  policy(): Policy {
    if (this.#quorum === undefined) refuse("there is no quorum line")
    return {
      logs: this.#logs,
      witnesses: this.#witnesses,
      groups: this.#groups,
      quorum: this.#quorum === none ? undefined : this.#quorum,
    }
  }

  #log([vkey, url, ...more]: readonly string[]): void {
    if (vkey === undefined || more.length > 0) refuse("not `log <vkey> [url]`")
    this.#bound(this.#logs)
    const key = this.#key(vkey, [noteKeyTypes.ed25519])
    this.#logs.push({ key, url })
  }

  #witness([name, vkey, url, ...more]: readonly string[]): void {
    if (name === undefined || vkey === undefined || more.length > 0)
      refuse("not `witness <name> <vkey> [url]`")
    this.#bound(this.#witnesses)
    this.#define(name)
    const key = this.#key(vkey, [noteKeyTypes.cosignature, noteKeyTypes.mlDsa44Cosignature])
    this.#witnesses.push({ name, key, url })
  }

  #group([name, count, ...members]: readonly string[]): void {
    if (name === undefined || count === undefined || members.length === 0)
      refuse("not `group <name> all|any|<k> <name>…`")
    this.#bound(this.#groups)
    for (const member of members) {
      if (!this.#names.has(member)) refuse("a group member is not defined before")
      if (this.#grouped.has(member)) refuse("a name is member of two groups")
      this.#grouped.add(member)
    }
    const threshold = thresholdOf(count, members.length)
    this.#define(name)
    this.#groups.push({ name, threshold, members })
  }

  #setQuorum([name, ...more]: readonly string[]): void {
    if (name === undefined || more.length > 0) refuse("not `quorum <name>`")
    if (this.#quorum !== undefined) refuse("a second quorum")
    if (name !== none && !this.#names.has(name)) refuse("the quorum is not defined before")
    this.#quorum = name
  }

  #define(name: string): void {
    if (name === none || this.#names.has(name)) refuse("a name is taken")
    this.#names.add(name)
  }

  #key(vkey: string, types: readonly number[]): VerifierKey {
    const bytes = Uint8Array.from(vkey, (octet) => octet.charCodeAt(0))
    const key = parseVerifierKey(this.#crypto, fromUtf8(bytes))
    if (!types.includes(key.type)) refuse(`a key of type ${key.type}`)
    const publicKey = toHex(key.publicKey)
    if (this.#publicKeys.has(publicKey)) refuse("a public key is named twice")
    this.#publicKeys.add(publicKey)
    return key
  }

  #bound(items: readonly unknown[]): void {
    if (items.length >= limits.policyItemsMax) refuse(`more than ${limits.policyItemsMax} of them`)
  }
}

const none = "none"

function thresholdOf(count: string, members: number): number {
  if (count === "all") return members
  if (count === "any") return 1
  const threshold = parseDecimal(count)
  if (threshold < 1 || threshold > members) refuse("a group's number cannot be reached or is 0")
  return threshold
}

function refuse(why: string): never {
  throw new ChappeError("policy", why)
}

function octets(bytes: Uint8Array): string {
  let text = ""
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** Whether the cosignatures of these witnesses (by name in the file) suffice. */
export function isQuorum(policy: Policy, cosigned: ReadonlySet<string>): boolean {
  if (policy.quorum === undefined) return true
  const reached = new Set(
    policy.witnesses.map(({ name }) => name).filter((name) => cosigned.has(name)),
  )
  // Groups name only what stands before them, so one pass settles all.
  for (const group of policy.groups) {
    const count = group.members.filter((member) => reached.has(member)).length
    if (count >= group.threshold) reached.add(group.name)
  }
  return reached.has(policy.quorum)
}

/** The names of the policy's witnesses whose cosignature is on the checkpoint. */
export function cosigners(policy: Policy, checkpoint: OpenedCheckpoint): ReadonlySet<string> {
  const keys = new Set(checkpoint.cosignatures.map(({ key }) => key))
  return new Set(policy.witnesses.filter(({ key }) => keys.has(key)).map(({ name }) => name))
}
