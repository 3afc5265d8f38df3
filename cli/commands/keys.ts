// Key files: what is in them, and new ones for people.

import { fingerprintHex, fingerprintWords } from "../../keys/fingerprint.ts"
import { newSigningKey } from "../../keys/founding.ts"
import { sha256 } from "../../keys/crypto.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { keyId, keyUses } from "../../protocol/key-id.ts"
import type { Command } from "../command.ts"
import type { JsonObject } from "../json.ts"
import {
  openKeys,
  passphraseOption,
  writeKeysWithPassphrase,
  writeKeysWithSecret,
} from "../secret.ts"

/** Never the secret. */
function entryView({ use, publicKey }: KeyEntry): {
  readonly json: JsonObject
  readonly text: string
} {
  const known = keyUses.find((one) => one === use)
  if (publicKey.length === 0) return { json: { use }, text: `${use}\n  a symmetric key` }
  if (known === undefined)
    return {
      json: { use, publicKey: toHex(publicKey) },
      text: `${use}\n  public key  ${toHex(publicKey)}`,
    }
  const id = keyId(sha256, known, publicKey)
  const short = publicKey.length === 32 ? { publicKey: toHex(publicKey) } : {}
  const words = fingerprintWords(id)
  return {
    json: { use, keyId: toHex(id), ...short, fingerprint: fingerprintHex(id), words },
    text: [
      use,
      ...(publicKey.length === 32 ? [`  public key  ${toHex(publicKey)}`] : []),
      `  fingerprint ${fingerprintHex(id)}`,
      `  in words    ${words}`,
    ].join("\n"),
  }
}

export const keysShow: Command = {
  name: "keys show",
  help: "show the keys in a key file, with fingerprints as hex and as words for the telephone",
  arguments: [{ name: "FILE", help: "a key file", offers: "files" }],
  options: [passphraseOption],
  examples: [{ line: "chappe keys show custodian-1.key", says: "never shows a secret" }],
  async run(input, world) {
    const file = input.argument("FILE")
    for (const entry of await openKeys(world, file, input.text("passphrase-file"))) {
      const { json, text } = entryView(entry)
      world.output.result(json, text)
    }
    return undefined
  },
}

const sorts = ["custodian", "member", "officer", "auditor"] as const

export const keysNew: Command = {
  name: "keys new",
  help: "make a key for a person: custodian, member root, officer or auditor",
  arguments: [{ name: "USE", help: sorts.join(", "), offers: sorts }],
  options: [
    { name: "out", value: "F", needed: true, help: "the key file to write", offers: "files" },
    { name: "secret-file", help: "open it by a .secret file beside it instead of a passphrase" },
    {
      ...passphraseOption,
      help: "file whose first line is the passphrase; else it is asked for, twice",
    },
  ],
  examples: [
    {
      line: "chappe keys new custodian --out custodian-1.key",
      says: "each custodian alone, at an own machine",
    },
  ],
  async run(input, world) {
    const use = sorts.find((one) => one === input.argument("USE"))
    if (use === undefined) throw new ChappeError("usage", `USE is one of ${sorts.join(" ")}`)
    const { entry } = newSigningKey(use, world.random)
    const keyFile = input.needed("out")
    if (input.flag("secret-file")) await writeKeysWithSecret(world, keyFile, [entry])
    else
      await writeKeysWithPassphrase(
        world,
        { keyFile, passphraseFile: input.text("passphrase-file") },
        [entry],
      )
    const { json, text } = entryView(entry)
    world.output.result({ file: keyFile, ...json }, `${text}\nWritten to ${keyFile}.`)
    return undefined
  },
}
