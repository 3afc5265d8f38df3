import { resolve } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { isMemberName } from "../../protocol/names.ts"
import type { Command } from "../command.ts"
import { cliLimits } from "../limits.ts"
import { desk, foundLab } from "../lab/found-lab.ts"
import { labFile, readLab } from "../lab/lab-file.ts"
import { exists } from "../private-files.ts"

function membersOf(words: readonly string[]): readonly string[] {
  const members = (words.length === 0 ? ["FR", "JP", "BR"] : words).filter((name) => name !== desk)
  const malformed = members.find((name) => !isMemberName(name))
  if (malformed !== undefined)
    throw new ChappeError(
      "usage",
      `${malformed} is not a member's name: A-Z, 0-9 and -, such as FR`,
    )
  if (members.length > cliLimits.labMembersMax)
    throw new ChappeError("usage", `a lab has up to ${cliLimits.labMembersMax} members`)
  return members
}

export const labInit: Command = {
  name: "lab init",
  help: "make a whole network on this machine: custodians, roster, HQ desk, nodes, relays, officers",
  arguments: [],
  options: [
    { name: "dir", value: "D", needed: true, help: "a new or empty folder", offers: "folders" },
    { name: "members", value: "FR,JP,BR", help: "the members besides the HQ desk" },
    { name: "relays", value: "2", help: "how many relays" },
    { name: "if-missing", help: "where a lab is already, change nothing" },
    { name: "containers", help: "for docker-compose.yml: relays by name, fixed ports" },
  ],
  examples: [
    {
      line: "chappe lab init --dir lab --members FR,JP,BR",
      says: "three countries, the HQ desk and two relays in ./lab",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    const members = membersOf(input.words("members"))
    const bounds = { min: 1, max: cliLimits.labRelaysMax }
    const relays = input.integer("relays", bounds) ?? 2
    const containers = input.flag("containers")
    const isThere = input.flag("if-missing") && (await exists(labFile(dir)))
    const lab = isThere
      ? await readLab(dir)
      : await foundLab(world, { dir, members, relays, containers })
    const { output } = world
    output.result(
      { event: "lab", dir, ...lab },
      [
        isThere
          ? `A network is in ${dir} already; it stays as it is:`
          : `A network is ready in ${dir}:`,
        output.table([
          ...lab.relays.map(({ name, dir: own }) => [`  relay ${name}`, own]),
          ...lab.nodes.map(({ name, dir: own }) => [
            `  node ${name}${name === lab.desk ? " (the HQ desk)" : ""}`,
            own,
          ]),
        ]),
        containers
          ? "Start it: docker compose up"
          : `Start it: chappe lab up --dir ${input.needed("dir")}`,
      ].join("\n"),
    )
    return undefined
  },
}
