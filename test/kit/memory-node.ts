// A node in memory: the real decisions on memory adapters, a clock that a test moves, and relay doubles
// in place of links. `restart` keeps what was committed and nothing else.

import { officerOf } from "./mail.ts"
import { signingKey } from "../../keys/signing-key.ts"
import { sealKeyFile } from "../../keys/key-file.ts"
import { type DurableBodies, MemoryBodyFiles } from "../../node/adapters/memory-body-files.ts"
import {
  type DurableRecords,
  MemoryRecordStore,
  type PlannedFailure,
} from "../../node/adapters/memory-record-store.ts"
import { systemHash } from "../../node/adapters/system-hash.ts"
import type { Identity, KeyVault } from "../../node/core/identity.ts"
import {
  type NodeCore,
  connectNode,
  keepUp,
  linkIsUp,
  loadNode,
} from "../../node/core/node-core.ts"
import type { Clock, Log, RecordStore } from "../../node/core/ports.ts"
import type { OutboxItem } from "../../node/core/outbox-records.ts"
import type { Session } from "../../node/core/sessions.ts"
import type { SendRequest } from "../../node/core/correspondence.ts"
import { publicKeysOf } from "../../keys/prekey-period.ts"
import { emptyBytes } from "../../protocol/bytes.ts"
import { decodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import type { ChappeError } from "../../protocol/errors.ts"
import { countingRandom } from "./counting-random.ts"
import type { DoubleLink, RelayDouble } from "./relay-double.ts"
import type { World, WorldMember } from "./world.ts"

/** Seconds and timers that move only when told to. */
export class StillClock implements Clock {
  #seconds: number
  #ms = 0
  #timers: { readonly at: number; readonly task: () => void }[] = []

  constructor(seconds: number) {
    this.#seconds = seconds
  }

  seconds(): number {
    return Math.floor(this.#seconds)
  }

  monotonicMs(): number {
    return this.#ms
  }

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#ms + ms, task }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer)
    }
  }

  /** Moves both clocks and runs what is due, earliest first. */
  move(seconds: number): void {
    this.#seconds += seconds
    this.#ms += seconds * 1_000
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= this.#ms).toSorted((a, b) => a.at - b.at)
      const [first] = due
      if (first === undefined) return
      this.#timers = this.#timers.filter((one) => one !== first)
      first.task()
    }
  }
}

/** The member's keys in memory. */
export function vaultOf(member: WorldMember): KeyVault {
  const identity = {
    name: member.name,
    nodeKeys: [member.node],
    linkKeys: [member.link.publicKey],
    witnessKeys: [{ publicKey: member.witness.publicKey, sign: member.witness.sign }],
    hedgeSecret: member.hedgeSecret,
  }
  return {
    identity,
    standby: async () => {
      const { publicKey, seed: secret } = member.standby
      return { use: "node", publicKey, secret }
    },
    add: async (entries) => {
      const added: Partial<Identity> = {
        nodeKeys: [
          ...identity.nodeKeys,
          ...entries
            .filter(({ use }) => use === "node")
            .map(({ secret }) => signingKey("node", secret)),
        ],
        linkKeys: [
          ...identity.linkKeys,
          ...entries.filter(({ use }) => use === "link").map(({ publicKey }) => publicKey),
        ],
      }
      Object.assign(identity, added)
    },
  }
}

export class MemoryNode {
  readonly name: string
  readonly world: World
  readonly clock: StillClock
  readonly records: DurableRecords = new Map()
  readonly bodies: DurableBodies = new Map()
  files = new MemoryBodyFiles(this.bodies)
  readonly lines: string[] = []
  failure: ChappeError | undefined
  readonly #vault: KeyVault
  #core: NodeCore | undefined

  constructor(world: World, name: string, clock: StillClock) {
    this.world = world
    this.name = name
    this.clock = clock
    this.#vault = vaultOf(world.member(name))
  }

  get core(): NodeCore {
    if (this.#core === undefined) throw new Error(`${this.name} is not started`)
    return this.#core
  }

  /** `store`: in place of the records in memory. */
  async start(
    plan: { readonly failure?: PlannedFailure; readonly store?: RecordStore } = {},
  ): Promise<NodeCore> {
    const member = this.world.member(this.name)
    const say = (event: string, fields: object = {}): void => {
      this.lines.push(`${event} ${JSON.stringify(fields)}`)
    }
    const log: Log = { info: say, warn: say, error: say }
    this.files = new MemoryBodyFiles(this.bodies)
    const core = connectNode({
      vault: this.#vault,
      dataKey: member.dataKey,
      anchor: this.world.anchor,
      store: plan.store ?? new MemoryRecordStore(this.records, plan.failure),
      files: this.files,
      officers: { read: (name) => this.#officerFile(name) },
      clock: this.clock,
      random: countingRandom(`${this.name} ${this.records.size} ${this.clock.seconds()}`),
      newHash: systemHash,
      log,
      onFailure: (error) => (this.failure ??= error),
    })
    this.#core = core
    await loadNode(core, decodeDirectoryBundle(this.world.bundle()))
    await core.prekeys.adopt(
      member.periods.map((period) => ({
        firstPublicKey: publicKeysOf(period)[0] ?? emptyBytes,
        seed: period.seed,
      })),
    )
    await keepUp(core)
    return core
  }

  /** A link to the relay, with all that happens when one comes up. */
  async link(relay: RelayDouble): Promise<DoubleLink> {
    const { core } = this
    const link = relay.connect(this.name, (from, message) => core.requests.answer(from, message))
    core.clock.heard(relay.name, relay.now())
    core.links.up(link)
    await linkIsUp(core, link)
    return link
  }

  unlink(relay: RelayDouble): void {
    const link = this.core.links.get(relay.name)
    relay.disconnect(this.name)
    if (link !== undefined) this.core.links.down(link)
  }

  session(role = "duty"): Session {
    const { key, id } = officerOf(this.world, this.name, role)
    const officer = this.core.directory
      .officers(this.name, this.clock.seconds())
      .find((one) => one.officer === id)
    if (officer === undefined) throw new Error(`no officer ${id}`)
    return { officer, signing: key }
  }

  async send(changes: Partial<SendRequest> = {}): Promise<OutboxItem> {
    return await this.core.correspondence.send(this.session(), {
      type: "message",
      to: ["JP"],
      info: [],
      subject: "Vehicle",
      text: "Please confirm the owner.",
      form: undefined,
      attachments: [],
      lane: 0,
      ourRef: undefined,
      yourRef: undefined,
      expiresSeconds: 86_400,
      label: undefined,
      idempotency: undefined,
      ...changes,
    })
  }

  async subjects(): Promise<readonly string[]> {
    return (await this.core.inbox.list(0, 1_000)).map(({ subject }) => subject)
  }

  async #officerFile(name: string): Promise<Uint8Array | undefined> {
    const found = this.world.member(this.name).officers.find(({ id }) => id.endsWith(`/${name}`))
    if (found === undefined) return undefined
    const { publicKey, seed } = found.key
    return await sealKeyFile({
      entries: [{ use: "officer", publicKey, secret: seed }],
      unlock: { kind: "secret", secret: this.world.member(this.name).dataKey },
      random: countingRandom(name),
    })
  }
}

/** Lets everything that waits on promises come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve))
}
