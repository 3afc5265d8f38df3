// `chappe demo` is what `npm start` shows: it must play its case to the end, and leave nothing behind.

import { existsSync } from "node:fs"
import t from "tap"
import { chappe } from "../kit/command.ts"

const outcome = await chappe(["demo", "--exit", "--json"])

t.setTimeout(0)

await t.test("the fictional case is played to its end", async (t) => {
  t.equal(outcome.code, 0, outcome.stderr)
  const scenes = outcome.lines.filter((line) => line["event"] === "scene")
  t.equal(scenes.length, 6, "five scenes and the end")
  const commands = outcome.lines.filter((line) => line["event"] === "command")
  const refused = commands.filter((line) => "error" in line)
  t.same(
    refused.map((line) => line["error"]),
    ["not-found"],
    "only the third country was refused",
  )
  const audits = commands.filter((line) => String(line["line"]).startsWith("chappe audit verify"))
  for (const audit of audits)
    t.match((audit["results"] as readonly unknown[]).at(-1), { event: "verdict", ok: true })
  t.equal(audits.length, 2, "both relays were audited")
})

await t.test("its folder is gone", async (t) => {
  const story = outcome.lines.find((line) => String(line["text"]).startsWith("They live in "))
  const dir = /^They live in (?<dir>[^;]+);/u.exec(String(story?.["text"]))?.groups?.["dir"] ?? ""
  t.match(dir, /chappe-demo-/u)
  t.notOk(existsSync(dir), dir)
})
