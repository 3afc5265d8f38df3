// A member's node on its simulated machine: the real core, the real rounds, the real diallers.

import { nodeLimits } from "../../../node/limits.ts"
import { MemoryBodyFiles } from "../../../node/adapters/memory-body-files.ts"
import { MemoryRecordStore } from "../../../node/adapters/memory-record-store.ts"
import { RelayDiallers } from "../../../node/adapters/relay-diallers.ts"
import { Rounds } from "../../../node/adapters/rounds.ts"
import { systemHash } from "../../../node/adapters/system-hash.ts"
import type { KeyVault } from "../../../node/core/identity.ts"
import {
  type NodeCore,
  connectNode,
  keepUp,
  linkIsUp,
  loadNode,
  tick,
} from "../../../node/core/node-core.ts"
import { RelaySession } from "../../../node/core/relay-session.ts"
import type { Session } from "../../../node/core/sessions.ts"
import { publicKeysOf } from "../../../keys/prekey-period.ts"
import { emptyBytes } from "../../../protocol/bytes.ts"
import { decodeDirectoryBundle } from "../../../protocol/directory-bundle.ts"
import { ChappeError } from "../../../protocol/errors.ts"
import { officerOf } from "../../kit/mail.ts"
import { vaultOf } from "../../kit/memory-node.ts"
import type { World } from "../../kit/world.ts"
import { Host, type Life, type Sim } from "./host.ts"
import type { End, Network } from "./network.ts"
import type { RelayHost } from "./relay-host.ts"

/** A wire before the other machine has answered. */
class DialledWire {
  line: End | undefined
  #isCut = false

  get isOpen(): boolean {
    return this.line?.isOpen === true
  }
  get bufferedBytes(): number {
    return this.line?.bufferedBytes ?? 0
  }
  send(frame: Uint8Array): void {
    this.line?.send(frame)
  }
  end(): void {
    this.line?.end()
  }
  cut(): void {
    this.#isCut = true
    this.line?.cut()
  }
  get isCut(): boolean {
    return this.#isCut
  }
}

export class NodeHost extends Host {
  core: NodeCore | undefined
  readonly #world: World
  readonly #network: Network
  readonly #relays: readonly RelayHost[]
  readonly #vault: KeyVault
  readonly #records = new Map<string, Uint8Array>()
  readonly #bodies = new Map<string, Uint8Array>()
  #hasPrekeys = false

  constructor(
    sim: Sim,
    world: World,
    name: string,
    network: Network,
    relays: readonly RelayHost[],
  ) {
    super(sim, name, world.at)
    this.#world = world
    this.#network = network
    this.#relays = relays
    this.#vault = vaultOf(world.member(name))
  }

  override get mayJump(): boolean {
    return this.core !== undefined
  }

  override durable(): readonly Map<string | number, Uint8Array>[] {
    return [this.#records, this.#bodies]
  }

  /** The duty officer signs in; undefined while the node is not up. */
  session(): Session | undefined {
    const { key, id } = officerOf(this.#world, this.name, "duty")
    const { core } = this
    const officer = core?.directory
      .officers(this.name, core.clock.now())
      .find((one) => one.officer === id)
    return officer === undefined ? undefined : { officer, signing: key }
  }

  protected override async boot(life: Life): Promise<void> {
    const { disk, clock, random, say } = life
    const member = this.#world.member(this.name)
    const log = { info: say, warn: say, error: say }
    const fail = (error: ChappeError): void => this.failed(life, error)
    const node = connectNode({
      vault: this.#vault,
      dataKey: member.dataKey,
      anchor: this.#world.anchor,
      store: disk.under(new MemoryRecordStore(this.#records), ["commit"]),
      files: disk.under(new MemoryBodyFiles(this.#bodies), ["finish", "remove"]),
      officers: { read: async () => undefined },
      clock,
      random,
      newHash: systemHash,
      log,
      onFailure: fail,
    })
    await loadNode(node, decodeDirectoryBundle(this.#world.bundle()))
    const rounds = new Rounds(clock, log, fail)
    const keep = async (): Promise<void> => {
      await this.#adoptPrekeys(node)
      await keepUp(node)
    }
    await rounds.once("keep-up", keep)
    const diallers = this.#diallers(node, life)
    rounds.start("tick", nodeLimits.overdueCheckMs, () => tick(node))
    rounds.start("keep-up", nodeLimits.upkeepMs, keep)
    rounds.start("journal", nodeLimits.journalAnchorMs, () => node.journal.anchor())
    rounds.start("first-contact", nodeLimits.directoryPollMs, async () => diallers.dialAll())
    diallers.dialAll()
    if (!life.isOver) this.core = node
    say("ready")
  }

  protected override gone(): void {
    this.core = undefined
    this.#network.left(this)
  }

  async #adoptPrekeys(node: NodeCore): Promise<void> {
    if (this.#hasPrekeys) return
    await node.prekeys.adopt(
      this.#world.member(this.name).periods.map((period) => ({
        firstPublicKey: publicKeysOf(period)[0] ?? emptyBytes,
        seed: period.seed,
      })),
    )
    this.#hasPrekeys = true
  }

  /** As node/compose.ts makes them, but for the socket. */
  #diallers(node: NodeCore, life: Life): RelayDiallers {
    const { clock, random, say } = life
    const { me, directory, links, greetings, requests, log } = node
    const { publicKey, seed } = this.#world.member(this.name).link
    return new RelayDiallers({
      directory,
      clock: node.clock,
      links,
      vault: { linkSecrets: () => [{ publicKey, secret: seed }] },
      options: {
        me,
        connect: (address, _url, options) => {
          const wire = new DialledWire()
          const session = new RelaySession(address.relay, wire, options)
          this.#connect(address.relay, wire, session)
          return session
        },
        hello: (relay, exporter) => greetings.say(relay, exporter),
        confirm: (relay, hello, exporter) => greetings.hear(relay, hello, exporter),
        handle: (link, message) => requests.answer(link, message),
        up: (link) => {
          say("link-up", { relay: link.relay })
          links.up(link)
          linkIsUp(node, link).catch((cause: unknown) => {
            if (!(cause instanceof ChappeError)) throw cause
          })
        },
        down: (link) => {
          say("link-down", { relay: link.relay })
          links.down(link)
        },
        clock,
        random,
        log,
      },
    })
  }

  #connect(relay: string, wire: DialledWire, session: RelaySession): void {
    const to = this.#relays.find(({ name }) => name === relay)
    if (to === undefined) return
    this.#network.dial(this, to, (connection) => {
      if (wire.isCut) return
      const linkKey = this.#world.member(this.name).link.publicKey
      if (connection === undefined || !to.accept(connection, linkKey)) {
        session.close("link-down")
        return
      }
      const [near] = connection.ends
      wire.line = near
      near.ears = {
        received: (frame) => session.received(frame),
        ended: () => session.close("link-down"),
      }
      session.opened(connection.exporter)
    })
  }
}
