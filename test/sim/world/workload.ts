// What officers do, and what they then may expect. Each member's requests are made one after another; one that
// a crash left without an answer is made again with the same key, as `chappe send` does it.

import { sha256 } from "../../../keys/crypto.ts"
import type { SendRequest } from "../../../node/core/correspondence.ts"
import type { InboxItem } from "../../../node/core/inbox-records.ts"
import type { NodeCore } from "../../../node/core/node-core.ts"
import type { Session } from "../../../node/core/sessions.ts"
import { concat, toHex, utf8 } from "../../../protocol/bytes.ts"
import { precedences } from "../../../protocol/envelope.ts"
import { ChappeError } from "../../../protocol/errors.ts"
import { type Claim, type Faults, type Shown, type Submitted, judge } from "../../kit/judge.ts"
import type { Life, Sim } from "./host.ts"
import type { NodeHost } from "./node-host.ts"

type Want = {
  readonly sender: NodeHost
  readonly to: readonly string[]
  readonly lane: 0 | 1 | 2 | 3
  readonly digest: string
  readonly ask: (core: NodeCore, session: Session) => Promise<{ readonly id: Uint8Array }>
  /** An answer to a message has no key: it is asked for once. */
  readonly isRepeatable: boolean
  wasAsked: boolean
  id: string | undefined
}

const failures = ["expired", "rejected", "undelivered"]
const received = ["delivered", "opened", "in-charge", "refused", "answered"]

export class Workload {
  readonly #sim: Sim
  readonly #nodes: readonly NodeHost[]
  readonly #wants: Want[] = []
  readonly #asking = new Map<NodeHost, Life>()
  /** What each member's officers have seen, by the number in the inbox. */
  readonly #shown = new Map<string, Map<number, Shown>>()
  #made = 0

  constructor(sim: Sim, nodes: readonly NodeHost[]) {
    this.#sim = sim
    this.#nodes = nodes
    for (const { name } of nodes) this.#shown.set(name, new Map())
  }

  get wanted(): number {
    return this.#wants.length
  }

  /** One message more, from anybody to some others. */
  send(): void {
    const { random } = this.#sim
    const sender = random.pick(this.#nodes)
    const others = this.#nodes.filter((node) => node !== sender).map(({ name }) => name)
    const some = others.filter(() => random.below(2) === 0)
    const to = some.length === 0 ? [random.pick(others)] : some
    const lane = random.pick([0, 1, 2, 3] as const)
    const subject = `${sender.name} ${(this.#made += 1)}`
    const text = `text ${random.u32()}`
    const file = random.below(5) === 0 ? random.bytes(random.below(3_000)) : undefined
    const digest = digestOf(subject, text, file === undefined ? [] : [sha256(file)])
    const request: Omit<SendRequest, "attachments"> = {
      type: "message",
      to,
      info: [],
      subject,
      text,
      form: undefined,
      lane,
      ourRef: undefined,
      yourRef: undefined,
      expiresSeconds: 864_000,
      label: undefined,
      idempotency: { key: subject, request: sha256(utf8(digest)) },
    }
    this.#wants.push({
      sender,
      to,
      lane,
      digest,
      isRepeatable: true,
      wasAsked: false,
      id: undefined,
      ask: async (core, session) => {
        const attachments = file === undefined ? [] : [await upload(core, session, file)]
        return await core.correspondence.send(session, { ...request, attachments })
      },
    })
  }

  /** An officer somewhere opens a message and perhaps acts on it. */
  async read(): Promise<void> {
    const { random } = this.#sim
    const node = random.pick(this.#nodes)
    const { core, life } = node
    const session = node.session()
    if (core === undefined || life === undefined || session === undefined) return
    const items = await core.inbox.list(0, 1_000)
    if (items.length === 0) return
    const item = random.pick(items)
    const { correspondence } = core
    const action = random.below(4)
    if (action === 0) await correspondence.opened(session, item)
    else if (action === 1) await correspondence.takeInCharge(session, item)
    else if (action === 2) await correspondence.refuse(session, item, "not_competent")
    else this.#reply(node, item)
  }

  #reply(sender: NodeHost, item: InboxItem): void {
    if (item.subject.startsWith("Re: ")) return
    const text = `answer ${(this.#made += 1)}`
    this.#wants.push({
      sender,
      to: [item.from],
      lane: item.lane,
      digest: digestOf(`Re: ${item.subject}`, text, []),
      isRepeatable: false,
      wasAsked: false,
      id: undefined,
      ask: (core, session) => core.correspondence.reply(session, item, { text }),
    })
  }

  /** Makes what requests can be made now. */
  pump(): void {
    for (const node of this.#nodes) this.#pumpOne(node)
  }

  #pumpOne(node: NodeHost): void {
    const { core, life } = node
    const session = node.session()
    if (core === undefined || life === undefined || session === undefined) return
    if (this.#asking.get(node) === life) return
    const want = this.#wants.find(
      (one) => one.sender === node && one.id === undefined && (one.isRepeatable || !one.wasAsked),
    )
    if (want === undefined) return
    want.wasAsked = true
    this.#asking.set(node, life)
    this.#ask(want, core, session, life).catch((cause: unknown) => {
      if (life.isOver) return
      if (!(cause instanceof ChappeError)) throw cause
      node.note(`officer: refused ${cause.code}`)
      this.#asking.delete(node)
    })
  }

  async #ask(want: Want, core: NodeCore, session: Session, life: Life): Promise<void> {
    const { id } = await want.ask(core, session)
    if (life.isOver) return
    const { sender, to, digest } = want
    this.#asking.delete(sender)
    want.id = toHex(id)
    sender.note(`officer: ${digest.slice(0, 8)} is ${want.id} to ${to.join(",")}`)
    this.#pumpOne(sender)
  }

  /**
   * Looks at every inbox and outbox that can be looked at. `lost` and `unsettled` count only at the end;
   * everything else is never to be seen. `again`: what was seen before is read anew.
   */
  async judge(again: boolean): Promise<Faults> {
    for (const node of this.#nodes) await this.#look(node, again)
    const claims = (await Promise.all(this.#nodes.map(async (node) => this.#claims(node)))).flat()
    const shown = new Map([...this.#shown].map(([name, seen]) => [name, [...seen.values()]]))
    return judge(this.#submitted(), shown, claims)
  }

  /** What keeps a run from being over, in words; undefined when everything is where it belongs. */
  async unfinished(): Promise<string | undefined> {
    const waiting = this.#wants.find(({ id, isRepeatable }) => id === undefined && isRepeatable)
    if (waiting !== undefined) return `a request of ${waiting.sender.name} has no answer`
    for (const { core, name } of this.#nodes) {
      if (core === undefined) return `${name} is not up`
      for (const item of await core.outbox.list(1_000))
        for (const { member, rung } of item.recipients)
          if (!received.includes(rung)) return `${name}'s ${toHex(item.id)} to ${member}: ${rung}`
    }
    return undefined
  }

  async #look(node: NodeHost, again: boolean): Promise<void> {
    const { core } = node
    const seen = this.#shown.get(node.name)
    if (core === undefined || seen === undefined) return
    for (const item of await core.inbox.list(0, 1_000)) {
      const before = seen.get(item.number)
      if (before !== undefined && !again) continue
      const { document } = await core.correspondence.show(item)
      const files = document.attachments.map(({ plainHash }) => plainHash)
      const shown = {
        id: toHex(item.id),
        from: item.from,
        lane: precedences[item.lane],
        seq: item.channel.seq,
        isLate: item.marks.includes("late"),
        digest: digestOf(document.subject, document.text, files),
      }
      if (before !== undefined && JSON.stringify(before) !== JSON.stringify(shown))
        this.#sim.violation(`${node.name} shows number ${item.number} otherwise than before`)
      if (before === undefined)
        node.note(`shows ${shown.id} from ${shown.from}, ${shown.lane} ${shown.seq}`)
      seen.set(item.number, shown)
    }
  }

  async #claims({ core, name }: NodeHost): Promise<readonly Claim[]> {
    if (core === undefined) return []
    const up = this.#nodes.filter((node) => node.core !== undefined).map((node) => node.name)
    const items = await core.outbox.list(1_000)
    return items.flatMap((item) =>
      item.recipients.flatMap(({ member, rung, reason }) => {
        // A missed deadline is evidence, and no end: the message still has to come.
        if (failures.includes(rung) && reason !== "deadline")
          this.#sim.violation(
            `${name} is told ${rung} (${reason ?? ""}) of ${toHex(item.id)} to ${member}`,
          )
        const claim = { sender: name, id: toHex(item.id), member, isTold: true }
        return received.includes(rung) && up.includes(member) ? [claim] : []
      }),
    )
  }

  /** Whoever got no answer may find the message somewhere all the same, once. */
  #submitted(): readonly Submitted[] {
    const all = [...this.#shown.values()].flatMap((seen) => [...seen.values()])
    return this.#wants.flatMap(({ sender: { name: sender }, to, lane, digest, wasAsked, id }) => {
      if (!wasAsked) return []
      const found = id ?? all.find((one) => one.from === sender && one.digest === digest)?.id
      if (found === undefined) return []
      const answered = id === undefined ? ("unknown" as const) : ("queued" as const)
      return [{ sender, id: found, to, lane: precedences[lane], digest, answered }]
    })
  }
}

async function upload(core: NodeCore, session: Session, file: Uint8Array): Promise<string> {
  const { officer } = session.officer
  const input = { officer, name: "file", mediaType: "text/plain", size: file.length }
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield file
  }
  return await core.attachments.upload({ ...input, sha256: sha256(file) }, pieces())
}

function digestOf(subject: string, text: string, files: readonly Uint8Array[]): string {
  return toHex(sha256(concat(utf8(`${subject}\n${text}\n`), ...files)))
}
