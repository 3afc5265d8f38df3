// Documents: what an officer writes, as a map of the canonical subset. An unknown key is refused.
// docs/PROTOCOL.md, "Documents". The colours' own forms will be schemas of `form`.

import { type Codec, type Value, bytes, encode, value } from "./codec.ts"
import type { ContentType } from "./capability.ts"
import { ChappeError } from "./errors.ts"
import { limits } from "./limits.ts"
import { isMemberName } from "./names.ts"

export const classifications = ["OFFICIAL", "RESTRICTED", "CONFIDENTIAL"] as const
export const handlingCodes = ["H0", "H1", "H2", "H3"] as const
/** A label travels inside the document, under the officer's signature. */
export type Label = {
  readonly classification: (typeof classifications)[number]
  readonly handling: (typeof handlingCodes)[number]
}

/** An attachment as its document names it: sealed body, its key, and the sender's words for it. */
export type Attachment = {
  readonly hash: Uint8Array
  readonly cipherLength: number
  readonly plainLength: number
  readonly plainHash: Uint8Array
  readonly key: Uint8Array
  readonly mediaType: string
  readonly name: string
}

/** Another message shown with its commitment opened, so that its reader verifies the original words. */
export type Quoted = {
  readonly header: Uint8Array
  readonly auth: Uint8Array
  readonly entry: Uint8Array
  readonly salt: Uint8Array
  readonly promise: string
  readonly index: number
  readonly path: readonly Uint8Array[]
  readonly content: Uint8Array
  readonly officerSig: Uint8Array
  readonly officerKeyId: Uint8Array
  readonly contentCommitKey: Uint8Array
}

export type MessageRef = { readonly sender: string; readonly id: Uint8Array }

export type Document = {
  readonly to: readonly string[]
  readonly info: readonly string[]
  readonly subject: string
  readonly text: string
  readonly label: Label
  readonly form: ReadonlyMap<string, Value> | undefined
  readonly ourRef: string | undefined
  readonly yourRef: string | undefined
  readonly inReplyTo: MessageRef | undefined
  readonly attachments: readonly Attachment[]
  readonly quoted: Quoted | undefined
}

const keysByType: Readonly<Record<ContentType, readonly string[]>> = {
  "case/info": [
    "attachments",
    "form",
    "info",
    "label",
    "ourRef",
    "subject",
    "text",
    "to",
    "yourRef",
  ],
  "case/reply": [
    "attachments",
    "form",
    "inReplyTo",
    "info",
    "label",
    "ourRef",
    "subject",
    "text",
    "to",
    "yourRef",
  ],
  "notice/request": ["attachments", "form", "info", "label", "ourRef", "subject", "text", "to"],
  "notice/published": ["attachments", "info", "label", "quoted", "subject", "text", "to"],
  "diffusion/send": ["attachments", "form", "info", "label", "ourRef", "subject", "text", "to"],
}

function refuse(key: string, why: string): never {
  throw new ChappeError("document", `${key} ${why}`)
}

function codePoints(found: string): number {
  let count = 0
  for (let at = 0; at < found.length; at += (found.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)
    count += 1
  return count
}

function textOf(key: string, found: Value | undefined, least: number, most: number): string {
  if (typeof found !== "string") return refuse(key, "is not text")
  // Code points are never more than code units: they are counted only where it matters.
  const length = found.length <= most ? found.length : codePoints(found)
  if (length < least || length > most)
    refuse(key, `has ${length} characters, not ${least} … ${most}`)
  return found
}

function optionalText(key: string, found: Value | undefined, most: number): string | undefined {
  return found === undefined ? undefined : textOf(key, found, 1, most)
}

function listOf(key: string, found: Value | undefined, most: number): readonly Value[] {
  if (!Array.isArray(found) || found.length > most)
    return refuse(key, `is not a list of up to ${most}`)
  return found as readonly Value[]
}

function membersOf(key: string, found: Value | undefined): readonly string[] {
  return listOf(key, found, limits.recipientsMax).map((name) =>
    typeof name === "string" && isMemberName(name) ? name : refuse(key, "holds no member's name"),
  )
}

function part<T>(key: string, codec: Codec<T>, found: Value | undefined): T {
  if (found === undefined) return refuse(key, "is missing")
  try {
    return codec.fromValue(found, key)
  } catch (cause) {
    throw new ChappeError("document", `${key} does not have its form`, { cause })
  }
}

function labelOf(found: Value | undefined): Label {
  if (!(found instanceof Map)) return refuse("label", "is missing")
  if (found.size !== 2) refuse("label", "holds an unknown field")
  const classification = classifications.find((one) => one === found.get("classification"))
  const handling = handlingCodes.find((one) => one === found.get("handling"))
  if (classification === undefined || handling === undefined)
    return refuse("label", "does not have its form")
  return { classification, handling }
}

const hash = bytes(32)

function integerOf(key: string, found: Value | undefined, most: number): number {
  return typeof found === "number" && Number.isInteger(found) && found >= 0 && found <= most
    ? found
    : refuse(key, "is not a length")
}

function attachmentOf(found: Value): Attachment {
  const key = "attachments"
  if (!Array.isArray(found) || found.length !== 7) return refuse(key, "do not have their form")
  const [cipherHash, cipherLength, plainLength, plainHash, secret, mediaType, name] =
    found as readonly Value[]
  return {
    hash: part(key, hash, cipherHash),
    cipherLength: integerOf(key, cipherLength, 0xffff_ffff),
    plainLength: integerOf(key, plainLength, limits.attachmentBytesMax),
    plainHash: part(key, hash, plainHash),
    key: part(key, hash, secret),
    mediaType: textOf(key, mediaType, 1, 127),
    name: textOf(key, name, 1, limits.attachmentNameBytesMax),
  }
}

function quotedOf(found: Value): Quoted {
  if (!Array.isArray(found) || found.length !== 11)
    return refuse("quoted", "does not have its form")
  const [header, auth, entry, salt, promise, index, path, content, sig, keyId, ck] =
    found as readonly Value[]
  return {
    header: part("quoted", bytes(1, limits.headerBytesMax), header),
    auth: part("quoted", bytes(1, limits.leafBytesMax), auth),
    entry: part("quoted", bytes(1, limits.entryBytesMax), entry),
    salt: part("quoted", hash, salt),
    promise: textOf("quoted", promise, 1, 2_048),
    index: integerOf("quoted", index, 0xffff_ffff),
    path: listOf("quoted", path, limits.proofHashesMax).map((item) => part("quoted", hash, item)),
    content: part("quoted", bytes(1, limits.paddedMax), content),
    officerSig: part("quoted", bytes(64), sig),
    officerKeyId: part("quoted", bytes(16), keyId),
    contentCommitKey: part("quoted", hash, ck),
  }
}

function referenceOf(found: Value): MessageRef {
  if (!Array.isArray(found) || found.length !== 2)
    return refuse("inReplyTo", "does not have its form")
  const [sender, id] = found as readonly Value[]
  if (typeof sender !== "string" || !isMemberName(sender))
    return refuse("inReplyTo", "names no member")
  return { sender, id: part("inReplyTo", bytes(16), id) }
}

function formOf(found: Value): ReadonlyMap<string, Value> {
  return found instanceof Map ? found : refuse("form", "is not a map")
}

/** A key may be left out; nil in its place would be a second spelling. */
function orDefault(found: Value | undefined, absent: Value): Value {
  return found === undefined ? absent : found
}

/** Reads a document of this type. Refused: `document`, naming the key at fault. */
export function readDocument(type: ContentType, found: Value): Document {
  if (!(found instanceof Map)) return refuse("document", "is not a map")
  const fields: ReadonlyMap<string, Value> = found
  for (const key of fields.keys())
    if (!keysByType[type].includes(key)) refuse(key, `does not belong in ${type}`)
  const form = fields.get("form")
  const quoted = fields.get("quoted")
  const inReplyTo = fields.get("inReplyTo")
  if (type === "notice/published" && quoted === undefined) refuse("quoted", "is missing")
  if (type === "case/reply" && inReplyTo === undefined) refuse("inReplyTo", "is missing")
  return {
    to: membersOf("to", fields.get("to")),
    info: membersOf("info", orDefault(fields.get("info"), [])),
    subject: textOf("subject", fields.get("subject"), 1, 150),
    text: textOf("text", orDefault(fields.get("text"), ""), 0, 50_000),
    label: labelOf(fields.get("label")),
    form: form === undefined ? undefined : formOf(form),
    ourRef: optionalText("ourRef", fields.get("ourRef"), 64),
    yourRef: optionalText("yourRef", fields.get("yourRef"), 64),
    inReplyTo: inReplyTo === undefined ? undefined : referenceOf(inReplyTo),
    attachments: listOf(
      "attachments",
      orDefault(fields.get("attachments"), []),
      limits.attachmentsMax,
    ).map(attachmentOf),
    quoted: quoted === undefined ? undefined : quotedOf(quoted),
  }
}

/** The value that goes into content; what `readDocument` gives back is equal. Refused: `document`, `size`. */
export function documentValue(type: ContentType, item: Document): Value {
  const fields = new Map<string, Value>([
    ["to", item.to],
    ["info", item.info],
    ["subject", item.subject],
    ["text", item.text],
    ["label", new Map(Object.entries(item.label))],
  ])
  if (item.form !== undefined) fields.set("form", item.form)
  if (item.ourRef !== undefined) fields.set("ourRef", item.ourRef)
  if (item.yourRef !== undefined) fields.set("yourRef", item.yourRef)
  if (item.inReplyTo !== undefined)
    fields.set("inReplyTo", [item.inReplyTo.sender, item.inReplyTo.id])
  if (item.attachments.length > 0) fields.set("attachments", item.attachments.map(attachmentValue))
  if (item.quoted !== undefined) fields.set("quoted", quotedValue(item.quoted))
  readDocument(type, fields)
  const encoded = encode(value, fields)
  if (encoded.length > limits.documentBytesMax)
    throw new ChappeError(
      "size",
      `the document has ${encoded.length} of ${limits.documentBytesMax} bytes`,
    )
  return fields
}

function attachmentValue(item: Attachment): Value {
  return [
    item.hash,
    item.cipherLength,
    item.plainLength,
    item.plainHash,
    item.key,
    item.mediaType,
    item.name,
  ]
}

function quotedValue(item: Quoted): Value {
  return [
    item.header,
    item.auth,
    item.entry,
    item.salt,
    item.promise,
    item.index,
    item.path,
    item.content,
    item.officerSig,
    item.officerKeyId,
    item.contentCommitKey,
  ]
}

/** What the form states as colour; decides which capability the signature needs. */
export function statedColour(item: Document): Value | undefined {
  return item.form?.get("colour")
}
