// First contact: a fourth member joins a running lab from one invitation file.

import { existsSync } from "node:fs"
import { join } from "node:path"
import t from "tap"
import { chappe, chappeJson, errorCode, spawnChappe } from "../kit/command.ts"
import { once } from "node:events"
import { Lab } from "../kit/lab.ts"
import { NodeApi } from "../kit/node-api.ts"

t.setTimeout(0)
const lab = await Lab.init("--members", "FR,JP")
await lab.up()
t.teardown(() => lab.end())

await t.test("a member joins with one file, and its first message arrives", async (t) => {
  const invitation = join(lab.dir, "..", "KE.invitation")
  const dir = join(lab.dir, "nodes", "KE")
  await chappeJson(["invite", "KE", "--dir", lab.dir, "--out", invitation])
  t.ok(existsSync(invitation), "the invitation is one file")
  const joined = lab.event("joined")
  const [request] = await chappeJson(["join", invitation, "--dir", dir])
  t.type(request?.["fingerprint"], "string", "it shows a fingerprint to compare by phone")
  await joined
  const node = spawnChappe(["node", "start", "--dir", dir, "--json"])
  t.teardown(async () => {
    const exit = once(node, "exit")
    node.kill("SIGTERM")
    await exit
  })
  const api = new NodeApi(dir, "duty")
  const sent = await api.call("POST", "/v1/messages", {
    type: "message",
    to: ["FR"],
    subject: "First contact",
    text: "Habari",
    precedence: "routine",
  })
  const message = await lab.api("FR").inboxMessage((item) => item["id"] === sent["id"])
  t.equal(message["from"], "KE", "FR has it")
  const back = await lab.api("FR").call("POST", "/v1/messages", {
    type: "message",
    to: ["KE"],
    subject: "Welcome",
    text: "Bienvenue",
    precedence: "routine",
  })
  const answer = await api.inboxMessage((item) => item["id"] === back["id"])
  t.equal(answer["from"], "FR", "and KE has the answer")
  const doctor = await chappe(["doctor", "--dir", dir, "--json"])
  const bad = doctor.lines.filter((line) => line["state"] === "bad")
  t.same(bad, [], "its own founding statements are no alarm")
})

await t.test("the same invitation is good once", async (t) => {
  const invitation = join(lab.dir, "..", "KE.invitation")
  const again = await chappe(["join", invitation, "--dir", join(lab.dir, "nodes", "XX"), "--json"])
  t.equal(again.code, 1, "refused")
  t.equal(errorCode(again), "token-used", "with the reason")
})
