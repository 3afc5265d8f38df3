// Bad input to commands: a clear sentence with the next step, the documented exit code, nothing lost.

import { execFileSync } from "node:child_process"
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t, { type Test } from "tap"
import { type Outcome, chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP", "--relays", "1")
await lab.up()
t.teardown(() => lab.end())
const fr = lab.nodeDir("FR")

/** Refused with this code; and whoever reads it gets a sentence and a next step, never a stack trace. */
async function refused(t: Test, code: string, exit: number, args: readonly string[]) {
  const outcome = await chappe([...args, "--json"])
  t.equal(errorCode(outcome), code, `${args.join(" ")}: ${outcome.stdout}${outcome.stderr}`)
  t.equal(outcome.code, exit, "the documented exit code")
  const plain = await chappe(args)
  t.match(plain.stderr, /\n {2}next: .+\[[a-z-]+\]/u, "the next step")
  t.notMatch(plain.stderr, /\n {4}at /u, "no stack trace")
  t.equal(plain.stdout, "", "nothing on stdout")
}

const send = (...more: readonly string[]): readonly string[] => [
  "send",
  "--node",
  fr,
  "--subject",
  "S",
  "--text",
  "T",
  ...more,
]

await t.test("unknown members", async (t) => {
  await refused(t, "unknown-recipient", 1, send("--to", "XX"))
  await refused(t, "unknown-member", 1, send("--to", "france"))
})

await t.test("usage", async (t) => {
  await refused(t, "usage", 2, ["sned"])
  await refused(t, "usage", 2, ["send", "--node", fr])
  await refused(t, "usage", 2, send())
  await refused(t, "usage", 2, send("--to", "JP", "--precedence", "loud"))
  await refused(t, "usage", 2, send("--to", "JP", "--expires", "15d"))
  await refused(t, "usage", 2, ["show", "xyz", "--node", fr])
  await refused(t, "usage", 2, ["help", "nothing"])
})

await t.test("files that cannot be read, and documents that are none", async (t) => {
  const work = await mkdtemp(join(tmpdir(), "chappe-bad-"))
  t.teardown(() => rm(work, { recursive: true }))
  const file = join(work, "form.json")
  await refused(t, "file-unreadable", 1, send("--to", "JP", "--attach", join(work, "none.png")))
  await refused(t, "file-unreadable", 1, send("--to", "JP", "--attach", work))
  await refused(t, "file-unreadable", 1, send("--to", "JP", "--document", file))
  await writeFile(file, '{"heightCm":112.5}')
  await refused(t, "document", 1, send("--to", "JP", "--document", file))
  await writeFile(file, "{")
  await refused(t, "document", 1, send("--to", "JP", "--document", file))
  await refused(t, "file-unreadable", 1, ["inbox", "--node", work])
  await refused(t, "file-unreadable", 1, [
    "evidence",
    "verify",
    `${file}x`,
    "--trust",
    join(lab.dir, "trust.json"),
  ])
  t.same(await chappeJson(["outbox", "--node", fr]), [], "nothing was sent by any of these")
})

await t.test("ids that nobody knows", async (t) => {
  const id = "0".repeat(32)
  await refused(t, "not-found", 1, ["show", id, "--node", fr])
  await refused(t, "not-found", 1, ["trace", id, "--node", fr])
  await refused(t, "not-found", 1, ["reply", id, "--node", fr, "--text", "T"])
})

await t.test("officers: unknown, with a wrong secret, without the right", async (t) => {
  await refused(t, "unknown-officer", 1, send("--to", "JP", "--as", "nobody"))
  await refused(t, "capability", 1, send("--to", "JP", "--as", "operator"))
  const secret = join(fr, "officers", "duty.secret")
  const aside = `${secret}.aside`
  await rename(secret, aside)
  await writeFile(secret, Buffer.alloc(32, 7), { mode: 0o600 })
  await refused(t, "passphrase", 1, send("--to", "JP"))
  await rm(secret)
  await refused(t, "passphrase", 1, send("--to", "JP"))
  await rename(aside, secret)
  const [sent] = await chappeJson(send("--to", "JP"))
  t.equal(sent?.["state"], "custody", "the right secret works again")
})

await t.test("an officer who was revoked", async (t) => {
  const root = join(lab.dir, "roots", "FR.key")
  await chappeJson(["officer", "add", "night", "--node", fr, "--roles", "officer", "--root", root])
  // The relay tells the node; until then the officer is unknown to it.
  for (;;) {
    const outcome = await chappe([...send("--to", "JP", "--as", "night"), "--json"])
    if (outcome.code === 0) break
    t.equal(errorCode(outcome), "unknown-officer")
  }
  await chappeJson(["officer", "revoke", "night", "--node", fr, "--root", root])
  let last: Outcome
  do last = await chappe([...send("--to", "JP", "--as", "night"), "--json"])
  while (last.code === 0)
  t.equal(errorCode(last), "officer-revoked")
})

await t.test("a port that another process has", async (t) => {
  const found = JSON.parse(await readFile(join(lab.dir, "lab.json"), "utf8")) as {
    readonly nodes: readonly { readonly name: string; readonly httpPort: number }[]
  }
  const port = found.nodes.find(({ name }) => name === "FR")?.httpPort ?? 0
  await lab.stop()
  const server = createServer().listen(port, "127.0.0.1")
  t.teardown(() => server.close())
  const start = await chappe(["node", "start", "--dir", fr, "--json"])
  t.equal(errorCode(start), "port-taken", start.stdout)
  t.equal(start.code, 1)
  const up = await chappe(["lab", "up", "--dir", lab.dir, "--json"])
  t.equal(errorCode(up), "port-taken", "lab up hands the reason on")
  const doctor = await chappe(["doctor", "--dir", fr, "--json"])
  t.equal(doctor.code, 1)
  t.match(doctor.stdout, new RegExp(`another process has its port ${port}`, "u"))
})

const full = await mkdtemp(join(tmpdir(), "chappe-full-"))
t.teardown(() => rm(full, { recursive: true }))

function mountSmall(): boolean {
  try {
    execFileSync("/bin/mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", full], {
      stdio: "ignore",
    })
    return true
  } catch {
    return false
  }
}

const isMounted = mountSmall()
await t.test(
  "a full disk",
  { skip: isMounted ? false : "a small tmpfs cannot be mounted here" },
  async (t) => {
    t.teardown(() => execFileSync("/bin/umount", [full]))
    await refused(t, "disk-full", 1, ["lab", "init", "--dir", join(full, "lab")])
  },
)
