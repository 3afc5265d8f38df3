// Relays and nodes for one test, on real sockets; everything ends with the test.

import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { RelayPorts } from "../../relay/core/relay-core.ts"
import { type RunningRelay, startRelay } from "../../relay/start.ts"
import { freePort } from "./free-port.ts"
import { writeRelayDir } from "./relay-dir.ts"
import { TestNode } from "./test-node.ts"
import { World, type WorldOptions } from "./world.ts"

export type Place = {
  readonly dir: string
  readonly links: number
  readonly https: number
}

export class Stage {
  readonly #ends: (() => Promise<void> | void)[] = []
  readonly places = new Map<string, Place>()
  #lives = 0

  /** To be called after each test: ends everything, the last first. */
  async end(): Promise<void> {
    for (const end of this.#ends.splice(0).toReversed()) await end()
    this.places.clear()
  }

  /** A world whose relays have folders and addresses, and are not started yet. */
  async world(
    relays: readonly string[],
    options: Partial<WorldOptions> = {},
    prepare: (world: World) => void = () => undefined,
  ): Promise<World> {
    const at = Math.floor(Date.now() / 1_000)
    const urls: Record<string, { links: string[]; https: string[] }> = {}
    for (const name of relays) {
      const place = { dir: await this.folder(), links: await freePort(), https: await freePort() }
      this.places.set(name, place)
      urls[name] = {
        links: [`wss://127.0.0.1:${place.links}`],
        https: [`https://127.0.0.1:${place.https}`],
      }
    }
    const world = new World({ at, relays, urls, ...options })
    prepare(world)
    for (const [name, place] of this.places) await writeRelayDir(world, name, place.dir, place)
    return world
  }

  async folder(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), "chappe-test-"))
    this.#ends.push(async () => rm(dir, { recursive: true, force: true }))
    return dir
  }

  place(name: string): Place {
    const place = this.places.get(name)
    if (place === undefined) throw new Error(`no relay ${name}`)
    return place
  }

  async start(name: string, ports?: Partial<RelayPorts>): Promise<RunningRelay> {
    const { dir } = this.place(name)
    const relay = await startRelay({ dir, ...(ports !== undefined && { ports }) })
    let isStopped = false
    const stop = async (): Promise<void> => {
      if (isStopped) return
      isStopped = true
      await relay.stop()
    }
    this.#ends.push(stop)
    return { ...relay, stop }
  }

  /** Resolves once each relay is linked to all others. */
  async linked(...relays: readonly RunningRelay[]): Promise<void> {
    for (const relay of relays)
      while (relay.linkedRelays().length < relays.length - 1)
        await new Promise((resolve) => setTimeout(resolve, 20))
  }

  async node(world: World, name: string, ...relays: readonly RunningRelay[]): Promise<TestNode> {
    const node = new TestNode(world, name, (this.#lives += 1))
    this.#ends.push(() => {
      node.close()
    })
    for (const relay of relays) await node.connect(relay.name, relay.linksPort)
    return node
  }
}
