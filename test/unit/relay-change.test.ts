// The directory on which a stopped relay's next statements follow.

import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterEach, expect, test } from "vitest"
import { systemRandom } from "../../cli/adapters/system-random.ts"
import { addressStatements } from "../../cli/ceremony/relay-address.ts"
import { currentDirectory } from "../../cli/ceremony/relay-change.ts"
import { Output } from "../../cli/output.ts"
import type { World as Machine } from "../../cli/world.ts"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import type { TrustFile } from "../../protocol/trust-file.ts"
import { refusalOf } from "../kit/refusal.ts"
import { relayKeyEntries } from "../kit/relay-dir.ts"
import { Stage } from "../kit/running-relays.ts"

const stage = new Stage()
afterEach(async () => stage.end())

const silent = { write: () => true }

test("is another relay's, not the folder's, and nothing is guessed when no other relay answers", async () => {
  const world = await stage.world(["hub1", "hub2"])
  const machine: Machine = {
    output: new Output({ json: true, colour: false, stdout: silent, stderr: silent }),
    nowMs: () => world.at * 1_000,
    random: systemRandom,
    environment: { notifySocket: undefined, noColour: true, program: [], workingDirectory: "/" },
    stdin: process.stdin,
  }
  const entries = relayKeyEntries(world, "hub1")
  const config = { name: "hub1", directory: join(stage.place("hub1").dir, "directory.chappe") }

  // hub1 was moved, which hub2 knows and hub1's folder does not: it is an old copy.
  const moved = world.directory()
  const urls = { links: ["wss://hub1.example:7443"], https: ["https://hub1.example:8443"] }
  const statements = addressStatements({
    name: "hub1",
    directory: moved,
    entries,
    urls,
    at: world.at,
  })
  for (const statement of statements) moved.apply("chain", statement)
  const { dir, https } = stage.place("hub2")
  const bundle = encodeDirectoryBundle({ version: 1, statements: moved.statements() })
  await writeFile(join(dir, "directory.chappe"), bundle)
  const hub2 = await stage.start("hub2")

  const certificate = await readFile(join(dir, "keys", "https.pem"), "utf8")
  const other = { name: "hub2", url: `https://127.0.0.1:${https}`, certificate }
  const trust: TrustFile = { anchor: world.anchor, relays: [other], auditor: undefined }
  const found = await currentDirectory(machine, { config, trust, entries })
  expect(found.urls("hub1")).toEqual(urls)

  await hub2.stop()
  const asked = currentDirectory(machine, { config, trust, entries })
  expect(await refusalOf(asked)).toBe("no-relay")
  const alone = await currentDirectory(machine, {
    config,
    trust: { ...trust, relays: [] },
    entries,
  })
  expect(alone.urls("hub1")).toEqual(world.directory().urls("hub1"))
})
