// The node's key files on disk: keys/node.key with its secret beside it, keys/standby.key, the prekey
// seeds handed over at the founding, officers' key files. Replaced whole, synced, mode 0600.

import { open, readFile, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { type KeyEntry, openKeyFile, sealKeyFile } from "../../keys/key-file.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { ChappeError } from "../../protocol/errors.ts"
import type { Identity, KeyVault, WitnessKey } from "../core/identity.ts"
import type { HandedPeriod } from "../core/own-prekeys.ts"
import type { OfficerKeyFiles, Random } from "../core/ports.ts"

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (cause) {
    if (isMissing(cause)) return undefined
    throw new ChappeError("file-unreadable", `${path} cannot be read`, { cause })
  }
}

async function readNeeded(path: string): Promise<Uint8Array> {
  const bytes = await readOptional(path)
  if (bytes === undefined) throw new ChappeError("file-unreadable", `${path} is missing`)
  return bytes
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Replaces a file whole: written beside it, synced, renamed. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.new`
  await rm(beside, { force: true })
  const handle = await open(beside, "wx", 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(beside, path)
  await syncFolder(dirname(path))
}

async function readEntries(path: string): Promise<readonly KeyEntry[] | undefined> {
  const file = await readOptional(path)
  if (file === undefined) return undefined
  const secret = await readNeeded(path.replace(/\.key$/u, ".secret"))
  return await openKeyFile(file, { kind: "secret", secret })
}

function keysOf(entries: readonly KeyEntry[], use: "node" | "link"): readonly SigningKey[] {
  return entries.filter((entry) => entry.use === use).map(({ secret }) => signingKey(use, secret))
}

function symmetric(entries: readonly KeyEntry[], use: "hedge" | "data"): Uint8Array {
  const entry = entries.findLast((one) => one.use === use)
  if (entry === undefined) throw new ChappeError("key-file", `keys/node.key has no ${use} secret`)
  return entry.secret
}

export class FileKeyVault implements KeyVault {
  readonly #directory: string
  readonly #random: Random
  readonly #name: string
  #entries: readonly KeyEntry[]

  private constructor(
    directory: string,
    name: string,
    random: Random,
    entries: readonly KeyEntry[],
  ) {
    this.#directory = directory
    this.#name = name
    this.#random = random
    this.#entries = entries
    this.identity = { ...this.#load() }
  }

  /** `directory`: the node's folder. Refused: `file-unreadable`, `passphrase`, `key-file`, `tampered`. */
  static async open(directory: string, name: string, random: Random): Promise<FileKeyVault> {
    const path = join(directory, "keys", "node.key")
    const entries = await readEntries(path)
    if (entries === undefined) throw new ChappeError("file-unreadable", `${path} is missing`)
    return new FileKeyVault(directory, name, random, entries)
  }

  /** One object for the life of the process: keys that are added appear in it. */
  readonly identity: Identity

  #load(): Identity {
    return {
      name: this.#name,
      nodeKeys: keysOf(this.#entries, "node"),
      linkKeys: this.linkSecrets().map(({ publicKey }) => publicKey),
      witnessKeys: this.#entries
        .filter(({ use }) => use === "witness")
        .map(({ secret }): WitnessKey => {
          const key = signingKey("witness", secret)
          return { publicKey: key.publicKey, sign: (message) => key.sign(message) }
        }),
      hedgeSecret: symmetric(this.#entries, "hedge"),
    }
  }

  get dataKey(): Uint8Array {
    return symmetric(this.#entries, "data")
  }

  /** The seeds of the link keys, the newest last: TLS wants them as certificates. */
  linkSecrets(): readonly { readonly publicKey: Uint8Array; readonly secret: Uint8Array }[] {
    return this.#entries
      .filter(({ use }) => use === "link")
      .map(({ secret }) => ({ publicKey: signingKey("link", secret).publicKey, secret }))
  }

  /** What HTTPS shows. Refused: `key-file` when the file holds no link key. */
  newestLinkSecret(): Uint8Array {
    const newest = this.linkSecrets().at(-1)
    if (newest === undefined) throw new ChappeError("key-file", "keys/node.key has no link key")
    return newest.secret
  }

  async standby(): Promise<KeyEntry | undefined> {
    const entries = await readEntries(join(this.#directory, "keys", "standby.key"))
    return entries?.find(({ use }) => use === "node")
  }

  async add(entries: readonly KeyEntry[]): Promise<void> {
    const path = join(this.#directory, "keys", "node.key")
    const secret = await readNeeded(join(this.#directory, "keys", "node.secret"))
    const all = [...this.#entries, ...entries]
    const random = this.#random
    await replaceFile(
      path,
      await sealKeyFile({ entries: all, unlock: { kind: "secret", secret }, random }),
    )
    this.#entries = all
    Object.assign(this.identity, this.#load())
  }

  /** Prekey seeds that the founding left for this node. */
  async handedPeriods(): Promise<readonly HandedPeriod[]> {
    const entries = await readEntries(join(this.#directory, "keys", "prekeys.key"))
    return (entries ?? [])
      .filter(({ use }) => use === "prekey")
      .map(({ publicKey, secret }) => ({ firstPublicKey: publicKey, seed: secret }))
  }

  /** Once the seeds are in the node's records they must not lie here any longer. */
  async forgetHandedPeriods(): Promise<void> {
    const keys = join(this.#directory, "keys")
    for (const name of ["prekeys.secret", "prekeys.key"])
      await rm(join(keys, name), { force: true })
    await syncFolder(keys)
  }
}

export function fileOfficerKeys(directory: string): OfficerKeyFiles {
  return { read: (name) => readOptional(join(directory, "officers", `${name}.key`)) }
}
