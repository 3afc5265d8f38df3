// A flash behind everything else that a member has to send, on a link of 10 Mbit/s: messages by the thousand and
// a large attachment wait in its node, and the link is full. The recipient's link is as narrow.

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { open, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Json } from "../kit/command.ts"
import { type CpuGroup, groupCpu } from "../kit/cpu-group.ts"
import { median } from "../kit/crowd.ts"
import { Namespaces, shapingUnavailable } from "../kit/namespaces.ts"
import type { NodeApi } from "../kit/node-api.ts"
import { ProcessLab } from "../kit/process-lab.ts"
import type { Chaos } from "./chaos.ts"

const [sender, recipient] = ["FR", "JP"] as const
const rate = "10mbit"
const flashMsMax = 2_000
const flashes = 5
/** With 100,000 messages it is 1 GB; and never so little that it is through before the flashes are. */
const attachmentBytesEach = 10_240
const attachmentBytesMin = 33_554_432
const pieceBytes = 1_048_576
const postsAtOnce = 256
/** So many have come: the link is at work. */
const underWay = 5
const lookMs = 20

async function linkOf(lab: ProcessLab, member: string, links: 0 | 1): Promise<void> {
  for (;;) {
    const api = await readFile(join(lab.dirOf(member), "run", "api.json"), "utf8")
    const { url } = JSON.parse(api) as { readonly url: string }
    const metrics = await fetch(`${url}/metrics`).then((answer) => answer.text())
    if (new RegExp(`^chappe_node_links ${links}$`, "mu").test(metrics)) return
    await pause(lookMs)
  }
}

async function post(api: NodeApi, subject: string, more: Json): Promise<string> {
  const answer = await api.call("POST", "/v1/messages", {
    type: "message",
    to: [recipient],
    subject,
    text: "x".repeat(900),
    idempotencyKey: subject,
    ...more,
  })
  return String(answer["id"])
}

/** Everything that waits: the attachment first, then the messages. */
async function fill(lab: ProcessLab, api: NodeApi, count: number): Promise<void> {
  const size = Math.max(attachmentBytesMin, count * attachmentBytesEach)
  const file = join(lab.dir, "large")
  const handle = await open(file, "w")
  for (let at = 0; at < size; at += pieceBytes)
    await handle.write(Buffer.alloc(Math.min(pieceBytes, size - at), at / pieceBytes))
  await handle.close()
  const hash = createHash("sha256")
  for await (const piece of createReadStream(file)) hash.update(piece as Uint8Array)
  const large = await api.attach(file, { name: "large", size, sha256: hash.digest("hex") })
  // A lane of its own: in the routine one everything would come after it.
  await post(api, "large", { precedence: "priority", attachments: [large] })
  let next = 0
  const worker = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) await post(api, `routine ${n}`, {})
  }
  await Promise.all(Array.from({ length: Math.min(count, postsAtOnce) }, worker))
}

/** Reads what has come, in its order. */
class Inbox {
  readonly ids: string[] = []
  readonly subjects: string[] = []
  readonly #api: NodeApi

  constructor(api: NodeApi) {
    this.#api = api
  }

  async until(isThere: () => boolean): Promise<void> {
    for (;;) {
      for (const message of await this.#api.inbox(this.ids.at(-1))) {
        this.ids.push(String(message["id"]))
        this.subjects.push(String(message["subject"]))
      }
      if (isThere()) return
      await pause(lookMs)
    }
  }
}

async function connect(lab: ProcessLab): Promise<Namespaces> {
  const hosts = await Namespaces.make(lab.names)
  for (const member of lab.members) {
    const file = join(lab.dirOf(member), "node.toml")
    const text = await readFile(file, "utf8")
    await writeFile(file, text.replace(/^host = .*$/mu, `host = "${hosts.management(member)}"`))
  }
  return hosts
}

export const flash: Chaos = {
  name: "flash",
  says: "a flash behind routine messages and an attachment of 10 KiB for each, on 10 Mbit/s: delivered first, within 2 s",
  unit: "routine messages",
  sizes: { brief: 500, ci: 5_000, long: 100_000 },
  measures: true,
  unavailable: shapingUnavailable,
  async run({ count, say }) {
    const lab = await ProcessLab.init("--members", "FR,JP", "--relays", "1", "--containers")
    let [hosts, first]: [Namespaces | undefined, CpuGroup | undefined] = [undefined, undefined]
    try {
      const net = await connect(lab)
      hosts = net
      await lab.startAll((name) => net.on(name))
      first = await groupCpu([...lab.names.map((name) => lab.pidOf(name)), process.pid])
      const inbox = new Inbox(lab.api(recipient))
      await post(lab.api(sender), "the first", {})
      await inbox.until(() => inbox.subjects.length > 0)

      await net.reset(sender)
      await linkOf(lab, sender, 0)
      await fill(lab, lab.api(sender), count)
      for (const name of [sender, recipient]) await net.narrow(name, rate)
      await net.heal()
      await linkOf(lab, sender, 1)
      await inbox.until(() => inbox.subjects.length > underWay)
      say(`${count} messages and the attachment wait, and the link is at work`)

      const tookMs: number[] = []
      let waiting = count
      for (let n = 0; n < flashes; n++) {
        const began = performance.now()
        const sent = post(lab.api(sender), `flash ${n}`, { precedence: "flash" })
        await inbox.until(() => inbox.subjects.includes(`flash ${n}`))
        tookMs.push(performance.now() - began)
        await sent
        waiting = count - inbox.subjects.filter((subject) => subject.startsWith("routine")).length
      }
      const isLargeThere = inbox.subjects.includes("large")
      const slowest = Math.max(...tookMs)
      return {
        passed: slowest <= flashMsMax && !isLargeThere && waiting > 0,
        figures: {
          "flash median ms": median(tookMs).toFixed(0),
          "flash slowest ms": slowest.toFixed(0),
          "routine still waiting": waiting,
          attachment: isLargeThere ? "there before" : "still waiting",
        },
      }
    } finally {
      await lab.end()
      await first?.end()
      await hosts?.remove()
    }
  },
}
