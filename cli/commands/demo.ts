import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stdout } from "node:process"
import type { Command } from "../command.ts"
import { playCase } from "../demo/fictional-case.ts"
import { Stage } from "../demo/stage.ts"
import { formatDuration } from "../duration.ts"
import { foundLab } from "../lab/found-lab.ts"
import { RunningLab } from "../lab/run-lab.ts"
import { stopAsked } from "../signals.ts"

export const demo: Command = {
  name: "demo",
  help: "play a fictional case on a network of its own, and show what to try next",
  arguments: [],
  options: [
    { name: "exit", help: "end when the case is over, also on a terminal" },
    { name: "keep", help: "keep running until Ctrl-C, also without a terminal" },
    {
      name: "dir",
      value: "D",
      help: "a folder to keep; a temporary one otherwise",
      offers: "folders",
    },
  ],
  examples: [{ line: "chappe demo", says: "about a minute" }],
  async run(input, world) {
    const stop = stopAsked().then(() => "stop" as const)
    const kept = input.text("dir")
    const dir = kept ?? join(await mkdtemp(join(tmpdir(), "chappe-demo-")), "lab")
    const stage = new Stage(world, dir)
    const startedMs = world.nowMs()
    const pids = new Map<string, number>()
    let begun: RunningLab | undefined
    try {
      stage.tell(
        "Three countries (FR, JP, BR), the HQ desk and two relays, each a process of its own.",
      )
      stage.tell(`They live in ${dir}; the people and the case are invented.`)
      const played = (async () => {
        await foundLab(world, { dir, members: ["FR", "JP", "BR"], relays: 2 })
        await RunningLab.start(world, {
          dir,
          restart: true,
          tell: (event) => {
            if (event.event === "process") pids.set(event.name, event.pid)
          },
          started: (lab) => {
            begun = lab
          },
        })
        await playCase(stage, { dir, pidOf: (name) => pids.get(name) })
        return "over" as const
      })()
      // A stop ends the case in its middle; what then fails is of no interest.
      played.catch(() => undefined)
      if ((await Promise.race([played, stop])) === "stop") return undefined
      const seconds = (world.nowMs() - startedMs) / 1000
      stage.scene(`Over, in ${formatDuration(seconds)}`)
      const stays = input.flag("keep") || (stdout.isTTY && !input.flag("exit"))
      if (!stays) {
        stage.tell(
          "Now your own network: npx chappe lab init --dir lab && npx chappe lab up --dir lab",
        )
        return undefined
      }
      stage.tell(nextSteps(dir))
      await stop
      return undefined
    } finally {
      await begun?.stop()
      if (kept === undefined) await rm(join(dir, ".."), { recursive: true, force: true })
    }
  },
}

function nextSteps(dir: string): string {
  return [
    "The network goes on running until Ctrl-C. In another terminal:",
    `  npx chappe inbox --node ${dir}/nodes/BR`,
    `  npx chappe send --node ${dir}/nodes/BR --to FR --subject Hello --text 'My first message'`,
    `  npx chappe doctor --dir ${dir}`,
    `  npx chappe invite KE --dir ${dir} --out KE.invitation`,
  ].join("\n")
}
