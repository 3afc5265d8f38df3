// A lab in this process: real folders, sockets and databases, but a clock that a test can move.

import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { systemRandom } from "../../cli/adapters/system-random.ts"
import { officerAdd } from "../../cli/commands/officer.ts"
import { parseInvocation } from "../../cli/invocation.ts"
import { foundLab } from "../../cli/lab/found-lab.ts"
import { Output } from "../../cli/output.ts"
import type { World } from "../../cli/world.ts"
import { systemClock as nodeClock } from "../../node/adapters/system-clock.ts"
import { startNode } from "../../node/compose.ts"
import { systemClock as relayClock } from "../../relay/adapters/system-clock.ts"
import { startRelay } from "../../relay/start.ts"
import { NodeApi } from "./node-api.ts"

const lookMs = 100

type Stoppable = { readonly stop: () => Promise<void> }

const silent = { write: () => true }
const noLog = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

function worldAt(nowMs: () => number): World {
  return {
    output: new Output({ json: true, colour: false, stdout: silent, stderr: silent }),
    nowMs,
    random: systemRandom,
    environment: { notifySocket: undefined, noColour: true, program: [], workingDirectory: "/" },
    stdin: process.stdin,
  }
}

export class QuickLab {
  readonly dir: string
  readonly #members: readonly string[]
  readonly #relays: readonly string[]
  readonly #running: Stoppable[] = []
  /** Seconds by which every clock here is ahead of the machine's. */
  #ahead = 0

  private constructor(dir: string, members: readonly string[], relays: readonly string[]) {
    this.dir = dir
    this.#members = members
    this.#relays = relays
  }

  static async found(members: readonly string[]): Promise<QuickLab> {
    const dir = join(await mkdtemp(join(tmpdir(), "chappe-quick-")), "lab")
    await foundLab(
      worldAt(() => Date.now()),
      { dir, members, relays: 2 },
    )
    return new QuickLab(dir, ["HQ", ...members], ["hub1", "hub2"])
  }

  /** Of folders that were filled before, as they stand in the base folder's `lab`; its clock starts at `seconds`. */
  static of(
    base: string,
    names: { readonly members: readonly string[]; readonly relays: readonly string[] },
    seconds: number,
  ): QuickLab {
    const lab = new QuickLab(join(base, "lab"), names.members, names.relays)
    lab.moveClock(seconds - nodeClock.seconds())
    return lab
  }

  /** For processes that are started from now on, and for those that run. */
  moveClock(seconds: number): void {
    this.#ahead += seconds
  }

  async start(): Promise<void> {
    const ahead = (seconds: number): number => seconds + this.#ahead
    for (const name of this.#relays)
      this.#running.push(
        await startRelay({
          dir: join(this.dir, "relays", name),
          ports: {
            clock: { ...relayClock, seconds: () => ahead(relayClock.seconds()) },
            journal: noLog,
          },
        }),
      )
    for (const name of this.#members)
      this.#running.push(
        await startNode({
          dir: join(this.dir, "nodes", name),
          clock: { ...nodeClock, seconds: () => ahead(nodeClock.seconds()) },
          log: noLog,
        }),
      )
  }

  /** Resolves once every node has a link to every relay. */
  async linked(): Promise<void> {
    for (const member of this.#members) {
      const api = await readFile(join(this.dir, "nodes", member, "run", "api.json"), "utf8")
      const { url } = JSON.parse(api) as { readonly url: string }
      const wanted = new RegExp(`^chappe_node_links ${this.#relays.length}$`, "mu")
      for (;;) {
        const metrics = await fetch(`${url}/metrics`).then((answer) => answer.text())
        if (wanted.test(metrics)) break
        await pause(lookMs)
      }
    }
  }

  /** Officers' keys last 90 days at most: the member's root enrols the duty officer again. */
  async renewOfficer(member: string): Promise<void> {
    const node = join(this.dir, "nodes", member)
    await rm(join(node, "officers", "duty.key"))
    await rm(join(node, "officers", "duty.secret"))
    const root = join(this.dir, "roots", `${member}.key`)
    const words = ["duty", "--node", node, "--root", root, "--roles", "officer,releaser"]
    const world = worldAt(() => Date.now() + 1_000 * this.#ahead)
    await officerAdd.run(parseInvocation(officerAdd, words), world)
    // The node learns of it from the relay's directory log.
    while ((await this.api(member).signInCode()) !== "ok") await pause(lookMs)
  }

  api(member: string): NodeApi {
    return new NodeApi(join(this.dir, "nodes", member), "duty")
  }

  async stop(): Promise<void> {
    for (const one of this.#running.splice(0).toReversed()) await one.stop()
  }

  async end(): Promise<void> {
    await this.stop()
    await rm(join(this.dir, ".."), { recursive: true, force: true })
  }
}
