// `chappe relay start` and `chappe node start`: one process in the foreground.

import { execFile } from "node:child_process"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { ChappeError, errorRow } from "../../protocol/errors.ts"
import type { Command, Option } from "../command.ts"
import { asChappeError } from "../failure.ts"
import type { Invocation } from "../invocation.ts"
import { cliLimits } from "../limits.ts"
import { exists, readText } from "../private-files.ts"
import { parentGone, stopAsked } from "../signals.ts"
import type { World } from "../world.ts"

/** What relay and node give back once they are ready. */
type RunningProcess = {
  readonly url: string
  readonly stop: () => Promise<void>
  readonly failed: Promise<ChappeError>
}

type Role = "relay" | "node"

const options: readonly Option[] = [
  { name: "dir", value: "DIR", needed: true, help: "its folder", offers: "folders" },
  { name: "with-parent", help: "end when stdin closes: the process that started this one is gone" },
]

async function nameIn(file: string): Promise<string> {
  const text = await readText(file, cliLimits.statementFileBytesMax)
  return /^name\s*=\s*"([^"]*)"/mu.exec(text)?.[1] ?? ""
}

/** systemd's word that the service is up; Node has no socket of that family itself. */
async function tellSystemd(world: World): Promise<void> {
  if (world.environment.notifySocket === undefined) return
  try {
    await promisify(execFile)("systemd-notify", ["--ready", "--no-block"])
  } catch {
    world.output.say("systemd-notify cannot be run; systemd will think that the start failed")
  }
}

/**
 * Runs a process to its end and ends with it: whatever a failed start has left open must not keep it alive,
 * because its supervisor waits for the exit.
 */
async function runProcess(
  input: Invocation,
  world: World,
  role: Role,
  load: () => Promise<(options: { readonly dir: string }) => Promise<RunningProcess>>,
): Promise<never> {
  try {
    const dir = resolve(input.needed("dir"))
    const config = join(dir, `${role}.toml`)
    if (!(await exists(config)))
      throw new ChappeError("file-unreadable", `${dir} is not a ${role}'s folder: no ${role}.toml`)
    // The handlers stand before anything is announced: a signal at any moment ends it in order.
    const ends = [stopAsked(), ...(input.flag("with-parent") ? [parentGone(world.stdin)] : [])]
    const end = Promise.race(ends).then(() => undefined)
    const start = await load()
    const running = await Promise.race([start({ dir }), end])
    if (running === undefined) process.exit(0)
    const { url } = running
    const name = await nameIn(config)
    world.output.result({ event: "ready", name, url }, `${role} ${name} is ready: ${url}`)
    await tellSystemd(world)
    const failure = await Promise.race([end, running.failed])
    await running.stop()
    if (failure !== undefined) throw failure
    process.exit(0)
  } catch (thrown) {
    const error = asChappeError(thrown)
    world.output.error(error)
    process.exit(errorRow(error.code).exit)
  }
}

export const relayStart: Command = {
  name: "relay start",
  help: "run one relay in the foreground",
  arguments: [],
  options,
  examples: [{ line: "chappe relay start --dir lab/relays/hub1", says: "until Ctrl-C" }],
  async run(input, world) {
    return runProcess(
      input,
      world,
      "relay",
      async () => (await import("../../relay/start.ts")).startRelay,
    )
  },
}

export const nodeStart: Command = {
  name: "node start",
  help: "run one node in the foreground",
  arguments: [],
  options,
  examples: [{ line: "chappe node start --dir lab/nodes/FR", says: "until Ctrl-C" }],
  async run(input, world) {
    return runProcess(
      input,
      world,
      "node",
      async () => (await import("../../node/compose.ts")).startNode,
    )
  },
}
