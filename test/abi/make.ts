// Makes the fixture of an on-disk format: the folders of a relay and two nodes as a released version leaves
// them, with mail that arrived and mail that still waits at the relay. To be run once for a release:
//
//   git archive v0.1.0 | tar x -C OLD && (cd OLD && npm ci && npm run -s build)
//   npm run -s build && node dist/test/abi/make.js OLD/dist/cli/main.js test/abi/0.1.0.tar.gz
//
// Everything goes through that version's own command and HTTP interface, so it works for any version.

import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { promisify } from "node:util"
import { type Json, onJsonLine } from "../kit/command.ts"
import { NodeApi } from "../kit/node-api.ts"
import { type Fixture, arrived, attachmentOf, textOf, waiting } from "./fixture.ts"

const lookMs = 200
const run = promisify(execFile)

async function send(api: NodeApi, from: string, subject: string): Promise<void> {
  const attachment = await api.attachBytes(`${subject}.bin`, attachmentOf(subject))
  await api.call("POST", "/v1/messages", {
    type: "message",
    to: [from === "FR" ? "JP" : "FR"],
    subject,
    text: textOf(subject),
    precedence: "routine",
    attachments: [attachment],
    idempotencyKey: subject,
  })
}

async function fill(lab: string, pids: ReadonlyMap<string, number>): Promise<void> {
  const api = (member: string): NodeApi => new NodeApi(join(lab, "nodes", member), "duty")
  for (const [from, subjects] of Object.entries(arrived))
    for (const subject of subjects) await send(api(from), from, subject)
  while ((await api("JP").inbox()).length < arrived.FR.length) await pause(lookMs)
  while ((await api("FR").inbox()).length < arrived.JP.length) await pause(lookMs)
  process.kill(pids.get("JP") ?? 0, "SIGSTOP")
  for (const subject of waiting) await send(api("FR"), "FR", subject)
  for (;;) {
    const outbox = await api("FR").call("GET", "/v1/outbox?limit=100")
    const states = (outbox["messages"] as readonly Json[]).map(({ state }) => state)
    if (states.filter((state) => state === "custody").length === waiting.length) break
    await pause(lookMs)
  }
}

async function make(main: string, target: string): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), "chappe-abi-"))
  const lab = join(base, "lab")
  const program = [resolve(main)]
  try {
    const words = ["lab", "init", "--dir", lab, "--members", "FR,JP", "--relays", "1"]
    await run(process.execPath, [...program, ...words])
    const up = spawn(process.execPath, [...program, "lab", "up", "--dir", lab, "--json"])
    up.stderr.resume()
    const ended = once(up, "exit")
    const pids = new Map<string, number>()
    await new Promise<void>((ready, fail) => {
      up.once("exit", () => {
        fail(new Error("the lab ended"))
      })
      onJsonLine(up, (line) => {
        if (line["event"] === "process") pids.set(String(line["name"]), Number(line["pid"]))
        if (line["event"] === "ready") ready()
      })
    })
    await fill(lab, pids)
    // What waits is to wait: a node that goes on would fetch it while the others are being stopped.
    process.kill(pids.get("hub1") ?? 0, "SIGTERM")
    up.kill("SIGTERM")
    process.kill(pids.get("JP") ?? 0, "SIGKILL")
    await ended
    const fixture: Fixture = { madeAt: Math.floor(Date.now() / 1_000) }
    await writeFile(join(lab, "fixture.json"), `${JSON.stringify(fixture)}\n`)
    const kept = ["fixture.json", "relays/hub1", "nodes/FR", "nodes/JP"]
    const left = ["run", "LOG", "LOG.old", "LOCK", "*-pages"].map((name) => `--exclude=${name}`)
    await run("tar", ["-czf", resolve(target), "-C", lab, ...left, ...kept])
  } finally {
    await rm(base, { recursive: true, force: true })
  }
}

const [main, target] = process.argv.slice(2)
if (main === undefined || target === undefined) throw new Error("make.js MAIN TARGET")
await make(main, target)
