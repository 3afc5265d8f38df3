// `chappe repair`: what is damaged in a stopped node's or relay's folder, and what can be done about it.

import { join, resolve } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import {
  damagedBodies,
  faultOf,
  isDatabaseWhole,
  moveAside,
  rebuildDatabase,
  mendMark,
  withDatabaseLocked,
} from "../adapters/store-repair.ts"
import type { Command } from "../command.ts"
import { readRelayConfig } from "../../relay/config.ts"
import { barredBy } from "../../relay/core/rollback.ts"
import { requireStopped } from "../ceremony/relay-change.ts"
import { exists } from "../private-files.ts"
import type { World } from "../world.ts"

type Role = "node" | "relay"

/** Where other copies are, for whoever wants to know what becomes of what is lost here. */
const copies: Readonly<Record<Role, string>> = {
  node: "what others sent stays with their nodes until it expires: after `chappe keys new-incarnation` they are asked for it",
  relay:
    "the senders' nodes keep what was not delivered and hand it over again; the relay does not start again on what is left, for it may have promised more than that: it needs new log keys: docs/operator.md",
}

async function roleOf(dir: string): Promise<Role> {
  for (const role of ["node", "relay"] as const)
    if (await exists(join(dir, `${role}.toml`))) return role
  throw new ChappeError("file-unreadable", `${dir} is not a node's or a relay's folder`)
}

export const repair: Command = {
  name: "repair",
  help: "look for damage in a stopped node's or relay's folder, and mend what can be mended",
  arguments: [],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "its folder", offers: "folders" },
    {
      name: "drop-damaged",
      help: "go on without what cannot be read; it is moved to the folder's damaged/, never deleted",
    },
  ],
  examples: [
    { line: "chappe repair --dir lab/nodes/FR", says: "what is damaged" },
    { line: "chappe repair --dir lab/nodes/FR --drop-damaged", says: "go on without it" },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    const role = await roleOf(dir)
    if (role === "relay") await requireStopped(dir)
    const isAgreed = input.flag("drop-damaged")
    const data = role === "node" ? join(dir, "data") : (await readRelayConfig(dir)).data
    const aside = join(dir, "damaged")
    const task = { data, aside, isAgreed, role }
    const left = await withDatabaseLocked(data, async () =>
      [await mendDatabase(world, task), await mendBodies(world, task)].some((isLeft) => isLeft),
    )
    if (left)
      throw new ChappeError("damaged", "nothing was changed: --drop-damaged goes on without it")
    return undefined
  },
}

type Task = {
  readonly data: string
  readonly aside: string
  readonly isAgreed: boolean
  readonly role: Role
}

/** Whether damage is left. */
async function mendDatabase(world: World, { data, aside, isAgreed, role }: Task): Promise<boolean> {
  const fault = await faultOf(data)
  if (fault === undefined) {
    tell(world, { what: "database", state: "whole", says: "every change is there" })
    return false
  }
  tell(world, { what: "database", state: "damaged", says: fault })
  if (!isAgreed) {
    tell(world, { what: "database", state: "copies", says: copies[role] })
    return true
  }
  // What it lost may have been promised: the relay's numbers must not be given out again.
  const last = role === "relay" ? barredBy(fault) : undefined
  if (await isDatabaseWhole(data)) {
    await mendMark(data, last)
    const says = "its mark was written anew; all of what is there can be read"
    tell(world, { what: "database", state: "mended", says })
    return false
  }
  const kept = await rebuildDatabase(data, aside, last)
  tell(world, {
    what: "database",
    state: "mended",
    says: `${kept} records were kept; where the newest could not be read, an earlier one may stand`,
    kept,
  })
  tell(world, { what: "database", state: "copies", says: copies[role] })
  return false
}

async function mendBodies(world: World, { data, aside, isAgreed, role }: Task): Promise<boolean> {
  const folder = join(data, role === "node" ? "bodies" : "attachments")
  const damaged = await damagedBodies(folder)
  for (const path of damaged) {
    tell(world, { what: "attachment", state: "damaged", says: path })
    if (!isAgreed) continue
    await moveAside(path, aside)
    tell(world, { what: "attachment", state: "mended", says: "moved aside; it is fetched again" })
  }
  return !isAgreed && damaged.length > 0
}

type Told = {
  readonly what: "database" | "attachment"
  readonly state: "whole" | "damaged" | "mended" | "copies"
  readonly says: string
  readonly kept?: number
}

function tell(world: World, told: Told): void {
  world.output.result(told, `${told.what.padEnd(10)} ${told.state.padEnd(8)} ${told.says}`)
}
