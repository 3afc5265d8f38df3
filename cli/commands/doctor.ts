import { basename, join, resolve } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import type { TrustFile } from "../../protocol/trust-file.ts"
import { readRelayConfig } from "../../relay/config.ts"
import type { Command } from "../command.ts"
import { type Check, bad } from "../doctor/check.ts"
import { checkLog, checkOwnKeys, checkRoster, directoryIn } from "../doctor/directory-checks.ts"
import { checkDisk, checkNode, checkPermissions } from "../doctor/machine-checks.ts"
import { checkNodeProcess, checkRelayProcess } from "../doctor/process-checks.ts"
import { checkNodeStatus } from "../doctor/status-checks.ts"
import { labFile, readLab } from "../lab/lab-file.ts"
import type { Output } from "../output.ts"
import { exists } from "../private-files.ts"
import { readTrust } from "../relay-client.ts"
import type { World } from "../world.ts"

type Place = { readonly name: string; readonly role: "node" | "relay"; readonly dir: string }

/** The processes' folders: those of a lab, or the one itself. Refused: `file-unreadable`. */
async function placesIn(dir: string): Promise<readonly Place[]> {
  if (await exists(labFile(dir))) {
    const { relays, nodes } = await readLab(dir)
    const of =
      (role: Place["role"]) => (item: { readonly name: string; readonly dir: string }) => ({
        name: item.name,
        role,
        dir: join(dir, item.dir),
      })
    return [...relays.map(of("relay")), ...nodes.map(of("node"))]
  }
  for (const role of ["node", "relay"] as const)
    if (await exists(join(dir, `${role}.toml`))) return [{ name: basename(dir), role, dir }]
  throw new ChappeError("file-unreadable", `${dir} is not a lab's, a node's or a relay's folder`)
}

async function checkPlace(world: World, place: Place): Promise<readonly Check[]> {
  const { dir, role } = place
  let trust: TrustFile
  try {
    trust = await readTrust(join(dir, "trust.json"))
    const fromFolder = async (): Promise<readonly Check[]> => {
      const file =
        role === "relay" ? (await readRelayConfig(dir)).directory : join(dir, "directory.chappe")
      const directory = await directoryIn(file, trust)
      return [...(await checkOwnKeys(world, directory, place)), checkRoster(world, directory)]
    }
    if (role === "node")
      return [
        await checkNodeProcess(dir, place.name),
        ...((await checkNodeStatus(world, dir, place.name)) ?? (await fromFolder())),
      ]
    const relay = trust.relays.find(({ name }) => name === place.name)
    return [
      ...(relay === undefined ? [] : await checkRelayProcess(world, relay, dir)),
      ...(await fromFolder()),
      await checkLog(world, dir, place.name),
    ]
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    return [bad(`${role} ${place.name}`, error.message, error.next)]
  }
}

const marks = { good: ["green", "ok"], watch: ["yellow", "watch"], bad: ["red", "BAD"] } as const

function checkText(output: Output, check: Check): string {
  const [style, word] = marks[check.state]
  const line = `${output.style(style, word.padEnd(5))} ${check.about}: ${check.says}`
  return check.next === undefined ? line : `${line}\n      next: ${check.next}`
}

export const doctor: Command = {
  name: "doctor",
  help: "say in words what is wrong on this machine and what to do",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", help: "a lab's, node's or relay's folder", offers: "folders" },
  ],
  examples: [{ line: "chappe doctor --dir lab", says: "everything of a lab" }],
  async run(input, world) {
    const { output } = world
    const dir = resolve(input.text("dir") ?? world.environment.workingDirectory)
    const checks: Check[] = [checkNode(process.version), await checkDisk(dir)]
    if (input.text("dir") !== undefined) {
      const places = await placesIn(dir)
      checks.push(await checkPermissions(dir))
      for (const place of places) checks.push(...(await checkPlace(world, place)))
    }
    const seen = new Set<string>()
    for (const check of checks) {
      const text = checkText(output, check)
      if (seen.has(text)) continue
      seen.add(text)
      output.result(check, text)
    }
    const wrong = checks.filter(({ state }) => state === "bad").length
    output.say(wrong === 0 ? "Nothing is wrong." : `${wrong} thing(s) to mend.`)
    return wrong === 0 ? undefined : 1
  },
}
