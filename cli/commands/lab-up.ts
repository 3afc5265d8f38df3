import { resolve } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import type { Command } from "../command.ts"
import { type LabEvent, RunningLab } from "../lab/run-lab.ts"
import type { Output } from "../output.ts"
import { stopAsked } from "../signals.ts"

export function eventText(output: Output, item: LabEvent): string {
  switch (item.event) {
    case "process":
      return `${item.role.padEnd(5)} ${item.name.padEnd(8)} ${output.style("green", "up")}  ${item.url}  (pid ${item.pid})`
    case "exit":
      return `${item.role.padEnd(5)} ${item.name.padEnd(8)} ${output.style("yellow", "ended")} (pid ${item.pid}, ${item.signal ?? `code ${item.code ?? "?"}`})${item.error === undefined ? "" : `: ${item.error.message} (${item.error.code})`}`
    case "joined":
      return `${item.member} is a member by roster ${item.roster}`
    case "ready":
      return "All are up. Ctrl-C stops them."
  }
}

export const labUp: Command = {
  name: "lab up",
  help: "start every process of a lab and keep them running until Ctrl-C",
  arguments: [],
  options: [
    { name: "dir", value: "D", needed: true, help: "the lab's folder", offers: "folders" },
    { name: "no-restart", help: "what dies stays dead" },
  ],
  examples: [{ line: "chappe lab up --dir lab", says: "relays, nodes and the HQ desk of ./lab" }],
  async run(input, world) {
    const { output } = world
    const stop = stopAsked().then(() => "stop" as const)
    let begun: RunningLab | undefined
    const starting = RunningLab.start(world, {
      dir: resolve(input.needed("dir")),
      restart: !input.flag("no-restart"),
      tell: (item) => {
        output.result(item, eventText(output, item))
      },
      started: (lab) => {
        begun = lab
      },
    })
    const lab = await Promise.race([starting, stop])
    if (lab === "stop") {
      await begun?.stop()
      await starting.catch((error: unknown) => {
        // Stopped in the middle of starting: that is what was asked for.
        if (!(error instanceof ChappeError)) throw error
      })
      return undefined
    }
    const end = await Promise.race([stop, lab.ended])
    await lab.stop()
    if (end !== "stop") throw new ChappeError("node-down", "every process of the lab has ended")
    return undefined
  },
}
