// The custodians' ceremony and a member's keys, on a running network.

import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import t from "tap"
import { type Json, chappe, chappeJson, errorCode } from "../kit/command.ts"
import { Lab } from "../kit/lab.ts"

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP", "--relays", "2")
await lab.up()
t.teardown(() => lab.end())
const trust = join(lab.dir, "trust.json")
const work = await mkdtemp(join(tmpdir(), "chappe-ceremony-"))
t.teardown(() => rm(work, { recursive: true }))
const fr = lab.nodeDir("FR")
const rootOf = (name: string): string => join(lab.dir, "roots", `${name}.key`)
const custodian = (number: number): string => join(lab.dir, "custodians", `custodian-${number}.key`)

/** Sends to JP and waits until it is there. */
async function reachesJp(subject: string): Promise<boolean> {
  const words = ["send", "--node", fr, "--to", "JP", "--subject", subject]
  const [sent] = await chappeJson(words)
  const found = await lab.api("JP").inboxMessage((item) => item["id"] === sent?.["id"])
  return found["subject"] === subject
}

await t.test("two of three custodians suspend a member and take it back", async (t) => {
  const file = join(work, "suspended.roster")
  await chappeJson(["roster", "suspend", "JP", "--trust", trust, "--out", file])
  const early = await chappe(["roster", "publish", file, "--trust", trust, "--json"])
  t.equal(errorCode(early), "roster", "nobody has signed yet")
  await chappeJson(["roster", "sign", file, "--key", custodian(3)])
  const [again] = await chappeJson(["roster", "sign", file, "--key", custodian(3)])
  t.equal(again?.["signatures"], 1, "the same custodian counts once")
  const [second] = await chappeJson(["roster", "sign", file, "--key", custodian(1)])
  t.equal(second?.["signatures"], 2)
  const [published] = await chappeJson(["roster", "publish", file, "--trust", trust])
  t.match(published, { number: 2, published: ["hub1", "hub2"] })
  let code: string | undefined
  do {
    const words = ["send", "--node", fr, "--to", "JP", "--subject", "S", "--json"]
    code = errorCode(await chappe(words))
  } while (code === undefined)
  t.equal(code, "unknown-recipient", "nothing more is sent to it")

  const back = join(work, "restored.roster")
  await chappeJson(["roster", "suspend", "JP", "--restore", "--trust", trust, "--out", back])
  for (const number of [1, 2])
    await chappeJson(["roster", "sign", back, "--key", custodian(number)])
  await chappeJson(["roster", "publish", back, "--trust", trust])
  const [shown] = await chappeJson(["roster", "show", "--trust", trust])
  t.match(shown, { number: 3, signatures: 2 })
  for (;;) {
    const words = ["send", "--node", fr, "--to", "JP", "--subject", "Back", "--json"]
    if ((await chappe(words)).code === 0) break
  }
  t.ok(await reachesJp("After"), "mail flows again")
})

await t.test("two of three custodians name a witness quorum and shorter deadlines", async (t) => {
  const next = join(work, "policy.roster")
  const policy = (quorum: string): readonly string[] => {
    return ["roster", "policy", "--quorum", quorum, "--trust", trust, "--out", next, "--json"]
  }
  t.equal(errorCode(await chappe(policy("4"))), "usage", "there are three members")
  const deadlines = join(work, "deadlines.json")
  const deadlineSeconds = { flash: 30, immediate: 60, priority: 900, routine: 3_600 }
  await writeFile(deadlines, JSON.stringify({ type: "chappe/delivery-policy/v1", deadlineSeconds }))
  await chappeJson([...policy("2"), "--delivery", deadlines])
  const [shown] = await chappeJson(["roster", "show", "--file", next])
  const policies = JSON.stringify(shown?.["policies"])
  t.match(policies, "group members 2 FR HQ JP", "custodians read the quorum")
  t.match(policies, "flash", "and the deadlines")
  for (const number of [1, 2])
    await chappeJson(["roster", "sign", next, "--key", custodian(number)])
  await chappeJson(["roster", "publish", next, "--trust", trust])
  const { url } = lab.process("hub1")
  let verdict: Json | undefined
  do {
    const audit = await chappe(["audit", "verify", url, "--trust", trust, "--json"])
    verdict = audit.lines.find((line) => line["event"] === "verdict")
  } while (verdict?.["quorum"] !== "reached")
  t.equal(verdict["roster"], 4, "the auditor finds the quorum that roster 4 asks for")
})

await t.test("a node's key is rotated, and its next incarnation started", async (t) => {
  const [rotated] = await chappeJson(["keys", "rotate", "--node", fr, "--root", rootOf("FR")])
  t.equal(rotated?.["incarnation"], 1, "the same incarnation")
  await lab.kill("FR")
  t.ok(await reachesJp("With the new key"))
  const [anew] = await chappeJson(["keys", "new-incarnation", "--node", fr, "--root", rootOf("FR")])
  t.equal(anew?.["incarnation"], 3, "beyond the standby key's")
  await lab.kill("FR")
  t.ok(await reachesJp("In the new incarnation"))
  const doctor = await chappe(["doctor", "--dir", fr, "--json"])
  t.same(
    doctor.lines.filter((line) => line["state"] === "bad"),
    [],
    "no alarm was raised",
  )
})

await t.test("a supervisor enrols and revokes within its own rights", async (t) => {
  const words = ["officer", "add", "deputy", "--node", fr, "--roles", "supervisor"]
  const [added] = await chappeJson(words)
  t.equal(added?.["officer"], "FR/deputy")
  const officers = await chappeJson(["officer", "list", "--node", fr, "--as", "deputy"])
  t.ok(officers.some((line) => line["officer"] === "FR/deputy"))
  const more = ["officer", "add", "more", "--node", fr, "--roles", "officer", "--json"]
  t.equal(errorCode(await chappe(more)), "capability", "not beyond them")
  await chappeJson(["officer", "revoke", "deputy", "--node", fr])
  const late = await chappe(["officer", "list", "--node", fr, "--as", "deputy", "--json"])
  t.equal(errorCode(late), "officer-revoked")
})

await t.test("a new network's first roster is signed and installed", async (t) => {
  const dir = join(work, "hub")
  const keys: string[] = []
  for (const number of [1, 2, 3]) {
    const out = join(work, `c${number}.key`)
    const [made] = await chappeJson(["keys", "new", "custodian", "--out", out, "--secret-file"])
    keys.push(String(made?.["publicKey"]))
  }
  const place = ["--host", "127.0.0.1", "--bind", "127.0.0.1"]
  await chappeJson(["relay", "init", "--dir", dir, "--name", "hub.example", ...place])
  const file = join(work, "first.roster")
  const founding = join(dir, "founding.json")
  await chappeJson([
    "roster",
    "init",
    ...keys.flatMap((key) => ["--custodian", key]),
    "--threshold",
    "2",
    "--relay",
    founding,
    "--out",
    file,
  ])
  const install = ["roster", "install", file, "--dir", dir, "--relay", founding]
  t.equal(errorCode(await chappe([...install, "--json"])), "roster", "unsigned, it is refused")
  for (const number of [2, 3])
    await chappeJson(["roster", "sign", file, "--key", join(work, `c${number}.key`)])
  await chappeJson(install)
  const invitation = join(work, "HQ.invitation")
  const [invited] = await chappeJson(["invite", "HQ", "--dir", dir, "--out", invitation])
  t.equal(invited?.["relay"], "hub.example", "and invites its first member")
})
