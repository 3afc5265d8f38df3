// An evidence file shows, offline and without any key that opens mail, what was sent, by whom, to
// whom, what became of it, and where each step was logged. docs/PROTOCOL.md, "Evidence file".
//
// JSON, so that a court's expert can read it with any tool; every byte string is base64.

import { fromBase64, toBase64 } from "./bytes.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import type { Acceptance } from "./link-messages.ts"
import type { Inside } from "./envelope.ts"

/** `proof`: a `.tlog-proof` file for the entry, absent until the node holds one. */
export type LoggedEvidence = { readonly acceptance: Acceptance; readonly proof: string | undefined }

export type EvidenceReceipt = LoggedEvidence & {
  readonly receipt: Uint8Array
  readonly auth: Uint8Array
}

/** A relay's whole directory log up to a checkpoint: it proves what was known at each size. */
export type EvidenceDirectory = {
  readonly origin: string
  readonly checkpoint: string
  readonly entries: readonly Uint8Array[]
}

export type EvidenceFile = {
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly logged: LoggedEvidence
  readonly receipts: readonly EvidenceReceipt[]
  readonly directories: readonly EvidenceDirectory[]
  /** Present only if whoever made the file chose to show the content. */
  readonly disclosure: Inside | undefined
}

const type = "chappe/evidence/v1"

export function formatEvidenceFile(file: EvidenceFile): string {
  const { disclosure } = file
  return `${JSON.stringify(
    {
      type,
      header: toBase64(file.header),
      auth: toBase64(file.auth),
      ...loggedJson(file.logged),
      receipts: file.receipts.map((item) => ({
        receipt: toBase64(item.receipt),
        auth: toBase64(item.auth),
        ...loggedJson(item),
      })),
      directories: file.directories.map(({ origin, checkpoint, entries }) => ({
        origin,
        checkpoint,
        entries: entries.map(toBase64),
      })),
      ...(disclosure === undefined
        ? {}
        : {
            disclosure: {
              content: toBase64(disclosure.content),
              officerSig: toBase64(disclosure.officerSig),
              officerKeyId: toBase64(disclosure.officerKeyId),
              contentCommitKey: toBase64(disclosure.contentCommitKey),
            },
          }),
    },
    null,
    1,
  )}\n`
}

function loggedJson({ acceptance, proof }: LoggedEvidence): object {
  return {
    acceptance: {
      entry: toBase64(acceptance.entry),
      salt: acceptance.salt === null ? null : toBase64(acceptance.salt),
      promise: acceptance.promise,
      index: acceptance.index,
      path: acceptance.path.map(toBase64),
    },
    ...(proof === undefined ? {} : { proof }),
  }
}

function refuse(field: string): never {
  throw new ChappeError("not-canonical", `the evidence file's ${field} does not have its form`)
}

/** A JSON object's fields, taken one by one; what is left over at the end is refused. */
class Fields {
  readonly #left: Map<string, unknown>
  readonly #name: string

  constructor(name: string, json: unknown) {
    if (typeof json !== "object" || json === null || Array.isArray(json)) refuse(name)
    this.#left = new Map(Object.entries(json))
    this.#name = name
  }

  #take(key: string): unknown {
    const found = this.#left.get(key)
    this.#left.delete(key)
    return found
  }

  has(key: string): boolean {
    return this.#left.has(key)
  }

  text(key: string): string {
    const found = this.#take(key)
    return typeof found === "string" ? found : refuse(`${this.#name} ${key}`)
  }

  bytes(key: string): Uint8Array {
    return fromBase64(this.text(key))
  }

  bytesOrNull(key: string): Uint8Array | null {
    if (this.#left.get(key) !== null) return this.bytes(key)
    this.#take(key)
    return null
  }

  integer(key: string): number {
    const found = this.#take(key)
    return typeof found === "number" && Number.isSafeInteger(found) && found >= 0
      ? found
      : refuse(`${this.#name} ${key}`)
  }

  list(key: string, most: number): readonly unknown[] {
    const found: unknown = this.#take(key)
    return Array.isArray(found) && found.length <= most ? found : refuse(`${this.#name} ${key}`)
  }

  bytesList(key: string, most: number): readonly Uint8Array[] {
    return this.list(key, most).map((item) =>
      typeof item === "string" ? fromBase64(item) : refuse(`${this.#name} ${key}`),
    )
  }

  inner(key: string): Fields {
    return new Fields(key, this.#take(key))
  }

  end(): void {
    const [unknown] = this.#left.keys()
    if (unknown !== undefined) refuse(`${this.#name} ${unknown}`)
  }
}

function readLogged(fields: Fields): LoggedEvidence {
  const inner = fields.inner("acceptance")
  const acceptance: Acceptance = {
    entry: inner.bytes("entry"),
    salt: inner.bytesOrNull("salt"),
    promise: inner.text("promise"),
    index: inner.integer("index"),
    path: inner.bytesList("path", limits.proofHashesMax),
  }
  inner.end()
  return { acceptance, proof: fields.has("proof") ? fields.text("proof") : undefined }
}

function readReceipt(json: unknown): EvidenceReceipt {
  const fields = new Fields("receipt", json)
  const item = {
    receipt: fields.bytes("receipt"),
    auth: fields.bytes("auth"),
    ...readLogged(fields),
  }
  fields.end()
  return item
}

function readDirectory(json: unknown): EvidenceDirectory {
  const fields = new Fields("directory", json)
  const item = {
    origin: fields.text("origin"),
    checkpoint: fields.text("checkpoint"),
    entries: fields.bytesList("entries", limits.bundledStatementsMax),
  }
  fields.end()
  return item
}

function readDisclosure(fields: Fields): Inside {
  const item = {
    content: fields.bytes("content"),
    officerSig: fields.bytes("officerSig"),
    officerKeyId: fields.bytes("officerKeyId"),
    contentCommitKey: fields.bytes("contentCommitKey"),
  }
  fields.end()
  return item
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ChappeError("not-canonical", "the evidence file is not JSON", { cause })
  }
}

/** Form only; what it proves is for the auditor's tool to judge. Refused: `size`, `not-canonical`. */
export function parseEvidenceFile(text: string): EvidenceFile {
  if (text.length > limits.evidenceFileBytesMax)
    throw new ChappeError("size", `an evidence file of ${text.length} characters`)
  const fields = new Fields("file", parseJson(text))
  if (fields.text("type") !== type) refuse("type")
  const file: EvidenceFile = {
    header: fields.bytes("header"),
    auth: fields.bytes("auth"),
    logged: readLogged(fields),
    receipts: fields.list("receipts", limits.recipientsMax * 16).map(readReceipt),
    directories: fields.list("directories", 64).map(readDirectory),
    disclosure: fields.has("disclosure") ? readDisclosure(fields.inner("disclosure")) : undefined,
  }
  fields.end()
  return file
}
