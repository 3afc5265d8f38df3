// A relay on its simulated machine: the real core and its tasks; links come in and go to the other relays.

import { openMemoryAttachmentStore } from "../../../relay/adapters/memory-attachment-store.ts"
import { openMemoryBodyStore } from "../../../relay/adapters/memory-body-store.ts"
import { openMemoryLogFiles } from "../../../relay/adapters/memory-log-files.ts"
import { openMemoryRecordStore } from "../../../relay/adapters/memory-record-store.ts"
import { startTasks } from "../../../relay/core/housekeeping.ts"
import type { PinnedPeer } from "../../../relay/core/introductions.ts"
import { startPeerSession } from "../../../relay/core/peer-session.ts"
import type { LogFiles } from "../../../relay/core/ports.ts"
import { type RelayCore, openRelayCore } from "../../../relay/core/relay-core.ts"
import { relayLimits } from "../../../relay/limits.ts"
import { decodeDirectoryBundle } from "../../../protocol/directory-bundle.ts"
import { relayKeyEntries } from "../../kit/relay-dir.ts"
import type { World } from "../../kit/world.ts"
import { Host, type Life, type Sim } from "./host.ts"
import type { Connection, End, Network } from "./network.ts"

const plenty = 2 ** 40

export class RelayHost extends Host {
  core: RelayCore | undefined
  readonly #world: World
  readonly #network: Network
  readonly #others: () => readonly RelayHost[]
  readonly #records = new Map<string, Uint8Array>()
  readonly #bodies = new Map<number, Uint8Array>()
  readonly #attachments = new Map<string, Uint8Array>()
  readonly #logs = new Map<string, Map<string, Uint8Array>>()

  constructor(
    sim: Sim,
    world: World,
    name: string,
    network: Network,
    others: () => readonly RelayHost[],
  ) {
    super(sim, name, world.at)
    this.#world = world
    this.#network = network
    this.#others = others
  }

  override get mayJump(): boolean {
    return this.core !== undefined
  }

  override durable(): readonly Map<string | number, Uint8Array>[] {
    return [this.#records, this.#bodies, this.#attachments, ...this.#logs.values()]
  }

  /** False for a link key that the directory does not name now. */
  accept(connection: Connection, linkKey: Uint8Array): boolean {
    const owner = this.core?.directory.linkOwner(linkKey, this.core.network.now)
    if (owner === undefined) return false
    const role = owner.role === "relay" ? "relay" : "node"
    this.#run(connection.ends[1], connection, { name: owner.name, role, linkKey }, 1)
    return true
  }

  protected override async boot(life: Life): Promise<void> {
    const { disk, clock, random, say } = life
    const journal = {
      info: (event: string, facts?: object) => {
        if (event !== "statement") say(event, facts)
      },
      warn: say,
    }
    const failed = (why: unknown): void => this.failed(life, why)
    const bodies = disk.under(openMemoryBodyStore(this.#bodies), ["appendAll", "release"])
    const core = await openRelayCore(
      {
        name: this.name,
        anchor: this.#world.anchor,
        bundle: decodeDirectoryBundle(this.#world.bundle()),
        keys: relayKeyEntries(this.#world, this.name),
        version: "simulated",
        failed,
      },
      {
        store: disk.under(openMemoryRecordStore(this.#records), ["commit"]),
        bodies: { ...bodies, freeBytes: async () => (this.isDiskFull ? 0 : plenty) },
        attachments: disk.under(openMemoryAttachmentStore(this.#attachments), ["append", "remove"]),
        logFiles: async (prefix) => this.#logFiles(life, prefix),
        clock,
        random,
        journal,
      },
      { count: () => undefined, observe: () => undefined },
    )
    if (life.isOver) return
    this.core = core
    startTasks({ clock, journal, failed: core.failed }, core.tasks)
    this.#dialOthers(life, core)
    say("ready")
  }

  protected override gone(): void {
    this.core = undefined
    this.#network.left(this)
  }

  #logFiles(life: Life, prefix: string): LogFiles {
    const files = this.#logs.get(prefix) ?? new Map<string, Uint8Array>()
    this.#logs.set(prefix, files)
    return life.disk.under(openMemoryLogFiles(files), ["write", "publish", "trim"])
  }

  #run(end: End, { exporter }: Connection, peer: PinnedPeer, role: 0 | 1): void {
    const { core } = this
    if (core === undefined) return end.cut()
    const session = startPeerSession(core.linkParts, { wire: end, exporter, peer, role })
    end.ears = { received: session.received, ended: session.ended }
  }

  /** As relay/adapters/relay-dialler.ts does it: the relay whose name comes first dials. */
  #dialOthers(life: Life, core: RelayCore): void {
    const notBefore = new Map<RelayHost, number>()
    life.clock.every(relayLimits.bufferedCheckMs, () => {
      const now = this.sim.timeline.nowMs
      for (const to of this.#others()) {
        if (to.name <= this.name || core.links.isLinked(to.name)) continue
        if (now < (notBefore.get(to) ?? 0)) continue
        notBefore.set(to, now + relayLimits.dialMsMax)
        this.#network.dial(this, to, (connection) => {
          const own = this.#world.relay(this.name).link.publicKey
          if (connection === undefined || !to.accept(connection, own)) return
          const linkKey = this.#world.relay(to.name).link.publicKey
          this.#run(connection.ends[0], connection, { name: to.name, role: "relay", linkKey }, 0)
        })
      }
    })
  }
}
