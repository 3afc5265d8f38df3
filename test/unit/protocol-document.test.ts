// The pages say what the code does: tables, bytes, examples and links cannot drift apart from it.

import { existsSync, readFileSync, readdirSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { nodeConfigTemplate } from "../../node/config.ts"
import { entryKinds } from "../../protocol/entry.ts"
import { receiptSteps } from "../../protocol/receipt.ts"
import { relayConfigTemplate } from "../../relay/config.ts"
import { unknownWords } from "../kit/command-words.ts"
import { blockOf, generatedBlocks, protocolPage } from "../kit/print-tables.ts"

const page = readFileSync(protocolPage, "utf8")
const pages = [
  ...readdirSync(".").filter((name) => name.endsWith(".md")),
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
]

describe("docs/PROTOCOL.md", () => {
  test.each([...generatedBlocks()])("prints the %s of the code", (name, block) => {
    expect(blockOf(page, name)).toBe(block)
  })

  test("has each link message with its number and fields, in the code's order", () => {
    const rows = [
      ...page.matchAll(/^\| (?<kind>\d+) +\| `(?<name>\w+)` +\| (?<items>[^|]*?) +\|/gmu),
    ]
    const source = readFileSync("protocol/link-messages.ts", "utf8")
    const messages = [
      ...source.matchAll(/(?<name>\w+): record\(\{\s*kind: literal\((?<kind>\d+)\)/gu),
    ]

    expect(messages.length).toBeGreaterThan(20)
    expect(rows.map(({ groups }) => [groups?.["kind"], groups?.["name"]])).toEqual(
      messages.map(({ groups }) => [groups?.["kind"], groups?.["name"]]),
    )
    const misplaced = messages.filter((message, i) => {
      const fields = topLevelNames(source.slice(message.index)).slice(1)
      const items = rows[i]?.groups?.["items"] ?? ""
      const places = fields.map((field) => items.search(new RegExp(`\\b${field}\\b`, "u")))
      return places.some((place, at) => place < 0 || place < (places[at - 1] ?? 0))
    })
    expect(misplaced.map(({ groups }) => groups?.["name"])).toEqual([])
  })

  test("has the fields of an auditor's state in their order", () => {
    const source = readFileSync("audit/audit-state.ts", "utf8")
    const mapped =
      /logs = \[\.\.\.state\.values\(\)\]\.map\(\(log\) => \(\{(?<body>.*?)\n {2}\}\)\)/su.exec(
        source,
      )
    const fields = [...(mapped?.groups?.["body"] ?? "").matchAll(/^ {4}(?<name>\w+):/gmu)]
    const written = /"logs":\[\{(?<names>.*?)\}\]\}`/u.exec(page)?.groups?.["names"] ?? ""
    const names = written.replaceAll(/: (?:\[[^\]]*\]|\{.*\})/gu, "").split(", ")
    expect(names).toContain("boundSize")
    expect(names).toEqual(fields.map(({ groups }) => groups?.["name"]))
  })

  test.each([
    ["batch", "auth", "auth"],
    ["envelope", "core", "core"],
    ["envelope", "leafLayout", "leaf"],
    ["envelope", "content", "content"],
    ["receipt", "receipt", "receipt"],
    ["control", "control", "control"],
    ["roster", "roster", "roster"],
    ["chain", "chainStatement", "statement"],
    ["hello", "hello", "hello"],
    ["invitation", "invitation", "invitation"],
  ])("has the fields of %s.ts's %s in their order", (file, constant, title) => {
    const source = readFileSync(`protocol/${file}.ts`, "utf8")
    const at = source.indexOf(`const ${constant} = record({`)
    const table = new RegExp(`^\\| ${title} +\\| Type.*\\n.*\\n(?<rows>(?:\\|.*\\n)+)`, "mu").exec(
      page,
    )
    const rows = (table?.groups?.["rows"] ?? "").trim().split("\n")
    expect(rows.map((row) => row.split("|")[1]?.trim())).toEqual(topLevelNames(source.slice(at)))
  })

  test("has each kind of log entry and each step of a receipt", () => {
    for (const [name, kind] of Object.entries(entryKinds))
      expect(page).toMatch(new RegExp(`^\\| ${kind} +\\| ${name} +\\|`, "mu"))
    for (const [name, step] of Object.entries(receiptSteps))
      expect(page).toMatch(new RegExp(`^\\| ${step} +\\| ${name.replace("-", " ")} +\\|`, "mu"))
  })

  test("has a section for each that a comment in the code names", () => {
    const titles = [...page.matchAll(/^#+ (?<title>.+)$|\*\*(?<term>[^*]+)\*\*/gmu)]
      .map(({ groups }) => (groups?.["title"] ?? groups?.["term"] ?? "").toLowerCase())
      .join("\n")
    const named = sources().flatMap((source) =>
      [
        ...source.matchAll(
          /docs\/PROTOCOL\.md[^"\n]{0,3}"(?<a>[^"\n]+)"(?: and "(?<b>[^"\n]+)")?/gu,
        ),
      ].flatMap(({ groups }) => [groups?.["a"], groups?.["b"]].filter((one) => one !== undefined)),
    )
    expect(named.length).toBeGreaterThan(30)
    for (const name of new Set(named)) expect(titles).toContain(name.toLowerCase())
  })
})

describe.each(pages)("%s", (name) => {
  const text = readFileSync(name, "utf8")

  test("shows only code that is part of a compiled example", () => {
    const examples = readdirSync("docs/examples").map((file) =>
      readFileSync(`docs/examples/${file}`, "utf8"),
    )
    const shown = [...text.matchAll(/^```ts\n(?<code>[\s\S]*?)\n```$/gmu)].map(
      ({ groups }) => groups?.["code"] ?? "",
    )
    expect(shown.filter((code) => !examples.some((example) => example.includes(code)))).toEqual([])
  })

  test("links only to what exists", () => {
    const prose = text.replaceAll(/`[^`\n]*`/gu, "")
    const targets = [...prose.matchAll(/\]\((?<target>[^)\s]+)\)/gu)].map(
      ({ groups }) => groups?.["target"] ?? "",
    )
    expect(targets.filter((target) => !leadsSomewhere(name, target))).toEqual([])
  })
})

test("ARCHITECTURE.md and the others name only files that exist", () => {
  const named = pages.flatMap((page) =>
    [
      ...readFileSync(page, "utf8").matchAll(
        /`(?<path>(?:protocol|keys|store|relay|node|audit|cli|test)\/[\w/.-]+\.ts)`/gu,
      ),
    ].map(({ groups }) => groups?.["path"] ?? ""),
  )
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter((path) => !existsSync(path))).toEqual([])
})

test.each([
  ["relay.toml", relayConfigTemplate({ name: "hub1", linksPort: 7443, httpsPort: 8443 })],
  ["node.toml", nodeConfigTemplate],
])("docs/operator.md explains each key of %s", (_file, template) => {
  const operator = readFileSync("docs/operator.md", "utf8")
  let table = ""
  const missing: string[] = []
  for (const line of template.split("\n")) {
    const { section, key } = /^(?:\[(?<section>\w+)\]|(?<key>\w+) = .*)$/u.exec(line)?.groups ?? {}
    if (section !== undefined) table = `${section}.`
    if (key !== undefined && !operator.includes(`\`${table}${key}\``))
      missing.push(`${table}${key}`)
  }
  expect(missing).toEqual([])
})

test("docs/operator.md explains each alarm that a node can raise, and no other", () => {
  const kinds = /type AlarmKind =(?<kinds>[^=]*)\n\nconst/u.exec(
    readFileSync("node/core/alarms.ts", "utf8"),
  )?.groups?.["kinds"]
  const operator = readFileSync("docs/operator.md", "utf8")
  const section = operator.slice(operator.indexOf("## Alarms"), operator.indexOf("## Programmes"))
  const rows = [...section.matchAll(/^\| `(?<kind>[a-z-]+)` /gmu)].map(
    ({ groups }) => groups?.["kind"],
  )
  const known = [...(kinds ?? "").matchAll(/"(?<kind>[a-z-]+)"/gu)].map(
    ({ groups }) => groups?.["kind"],
  )
  expect(known.length).toBeGreaterThan(5)
  expect(new Set(rows)).toEqual(new Set(known))
  expect(rows).toHaveLength(known.length)
})

test("the pages name only commands and options that the command table has", () => {
  const lines = pages.flatMap((page) => commandLines(readFileSync(page, "utf8")))
  expect(lines.length).toBeGreaterThan(30)
  expect([...new Set(lines.flatMap((line) => unknownWords(line)))]).toEqual([])
})

/** Words after `chappe` in shell blocks and in code between words. */
function commandLines(markdown: string): readonly (readonly string[])[] {
  const blocks = [...markdown.matchAll(/^```sh\n(?<code>[\s\S]*?)\n```$/gmu)].flatMap(
    ({ groups }) => (groups?.["code"] ?? "").split("\n"),
  )
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gmu, "")
  const inline = [...prose.matchAll(/`(?<code>[^`\n]+)`/gu)].map(
    ({ groups }) => groups?.["code"] ?? "",
  )
  return [...blocks, ...inline]
    .map((line) => /^(?:npx )?chappe (?<words>\w.*)$/u.exec(line)?.groups?.["words"])
    .filter((words) => words !== undefined)
    .map((words) => words.replaceAll(/"[^"]*"/gu, "TEXT").split(" "))
}

function leadsSomewhere(from: string, target: string): boolean {
  if (/^https?:|^mailto:/u.test(target)) return true
  const [file = "", anchor] = target.split("#")
  const path = file === "" ? from : new URL(file, `file:///${from}`).pathname.slice(1)
  if (!existsSync(path)) return false
  return anchor === undefined || anchorsOf(readFileSync(path, "utf8")).includes(anchor)
}

/** Names of a record's fields: what stands before a colon at the first level of its braces. */
function topLevelNames(text: string): readonly string[] {
  const begin = text.indexOf("{")
  let depth = 0
  let level = ""
  for (const letter of text.slice(begin)) {
    if ("{([".includes(letter)) depth += 1
    if (depth === 1) level += letter
    if ("})]".includes(letter)) depth -= 1
    if (depth === 0) break
  }
  return level
    .slice(1)
    .split(",")
    .map((field) => /^\s*(?<name>\w+)/u.exec(field)?.groups?.["name"])
    .filter((field) => field !== undefined)
}

/** As GitHub makes them from headings. */
function anchorsOf(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^#+ (?<title>.+)$/gmu)].map(({ groups }) =>
    (groups?.["title"] ?? "")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  )
}

function sources(): readonly string[] {
  return ["protocol", "keys", "store", "relay", "node", "audit", "cli"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => readFileSync(`${folder}/${file}`, "utf8")),
  )
}
