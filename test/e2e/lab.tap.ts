// The contract of `chappe lab`: a network from one command, each process its own, restarted when it dies.

import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import t from "tap"
import { chappe, chappeJson, errorCode, onJsonLine, spawnChappe } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await pause(50)
}

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP", "--relays", "2")
await lab.up()
t.teardown(() => lab.end())

await t.test("lab up names every process and then says that all are ready", async (t) => {
  const names = lab.events
    .filter((line) => line["event"] === "process")
    .map((line) => String(line["name"]))
  t.same(
    names.toSorted((a, b) => (a < b ? -1 : 1)),
    ["FR", "HQ", "JP", "hub1", "hub2"],
    "each once",
  )
  t.equal(lab.events.at(-1)?.["event"], "ready", "ready comes last")
  for (const { name, pid, dir, url, role } of lab.processes.values()) {
    t.ok(isAlive(pid), `${name} is a process of its own`)
    t.ok(existsSync(join(dir, `${role}.toml`)), `${name} has its folder`)
    t.match(url, /^https?:\/\/127\.0\.0\.1:\d+$/u, `${name} has its url`)
  }
  t.equal(new Set([...lab.processes.values()].map(({ pid }) => pid)).size, 5, "five pids")
})

await t.test("a first message goes out and is read", async (t) => {
  const [sent] = await chappeJson([
    "send",
    "--node",
    lab.nodeDir("FR"),
    "--to",
    "JP",
    "--subject",
    "Bonjour",
    "--text",
    "Première / الأولى",
  ])
  t.equal(sent?.["state"], "custody", "a relay has it durably")
  t.same(sent?.["recipients"], ["JP"])
  const id = String(sent?.["id"])
  await lab.api("JP").inboxMessage((item) => item["id"] === id)
  const inbox = await chappeJson(["inbox", "--node", lab.nodeDir("JP"), "--unread"])
  t.match(inbox[0], { id, from: "FR", type: "message", precedence: "routine", state: "new" })
  const [shown] = await chappeJson(["show", id, "--node", lab.nodeDir("JP")])
  t.match(shown, { id, text: "Première / الأولى", officer: "FR/duty" })
  t.same(await chappeJson(["inbox", "--node", lab.nodeDir("JP"), "--unread"]), [], "read")
  const outbox = await chappeJson(["outbox", "--node", lab.nodeDir("FR")])
  t.equal(outbox[0]?.["id"], id, "it stands in FR's outbox")
})

await t.test("what is killed comes back, and says so", async (t) => {
  const before = lab.process("hub1").pid
  await lab.kill("hub1")
  const after = lab.process("hub1").pid
  t.not(after, before, "another process")
  t.ok(
    lab.events.some((line) => line["event"] === "exit" && line["pid"] === before),
    "the end was told",
  )
})

await t.test("the doctor finds nothing to mend", async (t) => {
  const outcome = await chappe(["doctor", "--dir", lab.dir, "--json"])
  t.same(
    outcome.lines.filter((line) => line["state"] === "bad"),
    [],
    outcome.stdout,
  )
  t.equal(outcome.code, 0)
})

await t.test("a second lab up in the same folder is refused, and the first goes on", async (t) => {
  const second = await chappe(["lab", "up", "--dir", lab.dir, "--json"])
  t.equal(second.code, 1)
  t.ok(["locked", "port-taken"].includes(errorCode(second) ?? ""), second.stdout)
  for (const { name, pid } of lab.processes.values()) t.ok(isAlive(pid), `${name} lives on`)
})

await t.test("Ctrl-C stops all, in order", async (t) => {
  const pids = [...lab.processes.values()].map(({ pid }) => pid)
  await lab.stop()
  for (const pid of pids) t.notOk(isAlive(pid), `${pid} has ended`)
})

await t.test("no process outlives a lab up that was killed", async (t) => {
  const child = spawnChappe(["lab", "up", "--dir", lab.dir, "--json"])
  const pids: number[] = []
  await new Promise<void>((resolve) => {
    onJsonLine(child, (line) => {
      if (line["event"] === "process") pids.push(Number(line["pid"]))
      if (line["event"] === "ready") resolve()
    })
  })
  const exit = once(child, "exit")
  child.kill("SIGKILL")
  await exit
  await Promise.all(pids.map(gone))
  t.equal(pids.length, 5, "all five have ended by themselves")
})

await t.test("without restarts, what dies stays dead", async (t) => {
  await lab.up("--no-restart")
  const { pid } = lab.process("JP")
  const exit = lab.event("exit")
  process.kill(pid, "SIGKILL")
  t.match(await exit, { name: "JP", role: "node", pid, signal: "SIGKILL" })
  const sent = await chappeJson([
    "send",
    "--node",
    lab.nodeDir("FR"),
    "--to",
    "JP",
    "--subject",
    "Later",
  ])
  t.equal(sent[0]?.["state"], "custody", "its mail is held")
  const down = await chappe(["inbox", "--node", lab.nodeDir("JP"), "--json"])
  t.equal(errorCode(down), "node-down")
})

await t.test("lab init leaves a folder that holds anything alone", async (t) => {
  const before = await readFile(join(lab.dir, "lab.json"), "utf8")
  const again = await chappe(["lab", "init", "--dir", lab.dir, "--json"])
  t.equal(again.code, 1)
  t.equal(errorCode(again), "file-exists")
  t.equal(await readFile(join(lab.dir, "lab.json"), "utf8"), before)
})

await t.test("lab up without a lab says what is missing", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "chappe-none-"))
  t.teardown(() => rm(dir, { recursive: true }))
  const outcome = await chappe(["lab", "up", "--dir", dir, "--json"])
  t.equal(outcome.code, 1)
  t.equal(errorCode(outcome), "file-unreadable")
})
