// What docs/PROTOCOL.md takes from the code: the error table, the limits table, and the example's bytes.
//
//   node dist/test/kit/print-tables.js            prints them
//   node dist/test/kit/print-tables.js --write    puts them between their markers on the page
//
// A test compares page and code, so that they cannot drift apart.

import { readFileSync, readdirSync, writeFileSync } from "node:fs"
import { argv } from "node:process"
import { sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { coreBytes, decodeHeader } from "../../protocol/envelope.ts"
import { errorCodes, errorRow } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { statementId } from "../../protocol/pae.ts"
import { type FieldNames, annotatedDump } from "./annotated-dump.ts"
import { frozenMessage } from "./frozen-message.ts"

export const protocolPage = "docs/PROTOCOL.md"

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = head.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(columns[i] ?? 0)).join(" | ")} |`
  return [line(head), line(columns.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

function errorTable(): string {
  return markdownTable(
    ["Code", "HTTP", "Exit", "What happened", "What to do next"],
    errorCodes.map((code) => {
      const { http, exit, sentence, next } = errorRow(code)
      return [`\`${code}\``, String(http), String(exit), sentence, next]
    }),
  )
}

/** Values from the code, reasons from the comments beside them: there is no second copy of either. */
function limitTable(): string {
  const source = readFileSync("protocol/limits.ts", "utf8")
  const rows: string[][] = []
  for (const line of source.split("\n")) {
    const group = /^ {2}\/\/ (?<title>.+)$/u.exec(line)?.groups?.["title"]
    if (group !== undefined) rows.push([`**${group}**`, "", ""])
    const { name, reason } =
      /^ {2}(?<name>\w+): [\d_.]+,(?: \/\/ (?<reason>.+))?$/u.exec(line)?.groups ?? {}
    if (name === undefined) continue
    const value = Object.entries(limits).find(([key]) => key === name)?.[1]
    if (value === undefined) throw new RangeError(`${name} is not in the table`)
    rows.push([`\`${name}\``, value.toLocaleString("en-GB"), reason ?? ""])
  }
  if (rows.filter(([, value]) => value !== "").length !== Object.keys(limits).length)
    throw new RangeError("a line of protocol/limits.ts is not of the form `name: value, // reason`")
  return markdownTable(["Limit", "Value", "Why"], rows)
}

const head: FieldNames = ["checkpoint", "size", "root"]
const headerNames: FieldNames = [
  "header",
  [
    "core",
    "version",
    "suite",
    "id",
    "senderNode",
    "senderKeyId",
    "created",
    "expires",
    "precedence",
    ["recipients", ["recipient", "node", "kemKeyId"]],
    "bodyLength",
    "bodyHash",
    "contentCommit",
    head,
    "room",
  ],
  "slicesRoot",
]
const contentNames: FieldNames = [
  "content",
  "version",
  "type",
  "officer",
  "created",
  ["intended", "sender", "id", ["nodes", "node"]],
  "document",
]
const leafNames: FieldNames = ["leaf", "node", "wrap", "incarnation", "channelSeq", "channelPrev"]
const authNames: FieldNames = ["auth", "index", "size", ["path"], "blind", "signature"]

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``
}

function example(): string {
  const { content, officerSig, sealed, batch, log, node, officer } = frozenMessage()
  const header = decodeHeader(sealed.header)
  const [leaf] = sealed.leaves
  if (leaf === undefined) throw new RangeError("no leaf")
  const facts = (rows: readonly (readonly [string, Uint8Array])[]): string =>
    fenced(rows.map(([name, bytes]) => `${name.padEnd(26)}${toHex(bytes)}`).join("\n"))
  return [
    "The content, which officer `FR/o1` signs:",
    fenced(annotatedDump(content, contentNames)),
    facts([
      ["officer's public key", officer.publicKey],
      ["officer's key id", officer.keyId],
      ["officer's signature", officerSig.slice(0, 32)],
      ["", officerSig.slice(32)],
      ["content commitment key", sealed.contentCommitKey],
    ]),
    `The body: ${sealed.body.length} bytes, of which salt, commitment, and the first and the last 16 bytes of its one chunk:`,
    facts([
      ["salt", sealed.body.slice(0, 24)],
      ["commitment", sealed.body.slice(24, 56)],
      ["chunk begins", sealed.body.slice(56, 72)],
      ["chunk's tag", sealed.body.slice(-16)],
      ["H(body)", sha256(sealed.body)],
    ]),
    `The slice for \`BR\`, one of two (${leaf.length} bytes):`,
    fenced(annotatedDump(leaf, leafNames)),
    `The header (${sealed.header.length} bytes), which node \`FR\` signs:`,
    fenced(annotatedDump(sealed.header, headerNames)),
    facts([
      ["H(core)", sha256(coreBytes(sealed.header))],
      ["slicesRoot", header.slicesRoot],
      ["messageId", sealed.messageId],
    ]),
    "The node's signature over a batch of this one message. Under the signature lies",
    fenced(new TextDecoder("latin1").decode(batch.signed.slice(0, 53)) + "…"),
    facts([
      ["node's public key", node.publicKey],
      ["node's key id", node.keyId],
      ["batch leaf = batch root", batch.leaf],
      ["H(signed bytes)", sha256(batch.signed)],
    ]),
    fenced(annotatedDump(batch.auth, authNames)),
    `The log statement for \`${log.origin}\`, the first of this key there (seq 1, ${log.statement.length} bytes):`,
    facts([
      ["commitment", log.commit],
      ["id, H(PAE(entry, …))", statementId(sha256, "entry", log.statement)],
    ]),
  ].join("\n\n")
}

type Vectors = {
  readonly vectors: readonly {
    readonly section: string
    readonly expect: Readonly<Record<string, unknown>>
  }[]
}

function vectorTable(): string {
  const files = readdirSync("test/vectors").filter((name) => name.endsWith(".json"))
  const rows = files.toSorted().map((name) => {
    const { vectors } = JSON.parse(readFileSync(`test/vectors/${name}`, "utf8")) as Vectors
    const valid = vectors.filter(({ expect }) => "ok" in expect).length
    const sections = [...new Set(vectors.map(({ section }) => section))]
    return [`\`${name}\``, String(valid), String(vectors.length - valid), sections.join(", ")]
  })
  return markdownTable(["File", "Valid", "Refused", "Of what"], rows)
}

/** Each block by the name in its markers: `<!-- begin NAME -->` … `<!-- end NAME -->`. */
export function generatedBlocks(): ReadonlyMap<string, string> {
  return new Map([
    ["example", example()],
    ["errors", errorTable()],
    ["limits", limitTable()],
    ["vectors", vectorTable()],
  ])
}

type Span = { readonly from: number; readonly to: number }

/** Where on the page a block stands, without its markers; undefined where these are missing. */
function spanOf(page: string, name: string): Span | undefined {
  const begin = `<!-- begin ${name} -->`
  const from = page.indexOf(begin)
  const to = page.indexOf(`<!-- end ${name} -->`)
  return from < 0 || to < 0 ? undefined : { from: from + begin.length, to }
}

/** What stands on the page between a block's markers. */
export function blockOf(page: string, name: string): string | undefined {
  const span = spanOf(page, name)
  return span === undefined ? undefined : page.slice(span.from, span.to).trim()
}

function writeBlocks(): void {
  let page = readFileSync(protocolPage, "utf8")
  for (const [name, block] of generatedBlocks()) {
    const span = spanOf(page, name)
    if (span === undefined) throw new Error(`${protocolPage} has no markers for ${name}`)
    page = `${page.slice(0, span.from)}\n\n${block}\n\n${page.slice(span.to)}`
  }
  writeFileSync(protocolPage, page)
}

if (argv[1]?.endsWith("print-tables.js") === true) {
  if (argv.includes("--write")) writeBlocks()
  else for (const [name, block] of generatedBlocks()) console.log(`${name}:\n\n${block}\n`)
}
