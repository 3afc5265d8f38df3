// How long the roster and the keys still last, and whether a relay's log is consistent.

import { join } from "node:path"
import { crypto, sha256 } from "../../keys/crypto.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { decodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { keyId } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import type { TrustFile } from "../../protocol/trust-file.ts"
import { cliLimits } from "../limits.ts"
import { exists, readBytes } from "../private-files.ts"
import { openKeys, secretBeside } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { type Check, bad, good, watch } from "./check.ts"

/** The directory that a process starts with. */
export async function directoryIn(dir: string, trust: TrustFile): Promise<Directory> {
  const file = await readBytes(join(dir, "directory.chappe"), limits.directoryBundleBytesMax)
  const directory = new Directory(crypto, trust.anchor)
  directory.applyInOrder(decodeDirectoryBundle(file).statements)
  return directory
}

function lasting(about: string, end: number, now: number, next: string): Check {
  const days = Math.floor((end - now) / limits.secondsPerDay)
  if (end < now) return bad(about, `ended ${-days} days ago`, next)
  const says = `${days} days left`
  return days < cliLimits.warnDays ? watch(about, says, next) : good(about, says)
}

export function checkRoster(world: World, directory: Directory): Check {
  const { number, expires } = directory.roster()
  const next = "the custodians sign the next one: chappe roster add, sign, publish"
  return lasting(`roster ${number}`, expires, nowSeconds(world), next)
}

/** The newest node or relay key that this folder holds and the directory names. */
export async function checkOwnKeys(
  world: World,
  directory: Directory,
  place: { readonly name: string; readonly role: "node" | "relay"; readonly dir: string },
): Promise<readonly Check[]> {
  const { name, role, dir } = place
  const keyFile = join(dir, "keys", `${role}.key`)
  const about = `${role} ${name}: key`
  const now = nowSeconds(world)
  if (!(await exists(secretBeside(keyFile))))
    return [watch(about, "its key file has a passphrase", `chappe keys show ${keyFile}`)]
  let entries: readonly KeyEntry[]
  try {
    entries = await openKeys(world, keyFile)
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    return [bad(about, error.message, error.next)]
  }
  const next =
    role === "node" ? `chappe keys rotate --node ${dir} --root ROOT.key` : "name new relay keys"
  const ends = entries
    .filter(({ use }) => use === role)
    .map(({ publicKey }) => keyId(sha256, role, publicKey))
    .map((id) => directory.stationKeyAt(name, id, "now", now))
    .flatMap((found) => (found.kind === "valid" ? [found.key.notAfter] : []))
  if (ends.length === 0) return [bad(about, "no key of this folder is valid now", next)]
  if (role === "relay") {
    const last = (directory.station(name)?.keys ?? []).map(({ notAfter }) => notAfter)
    return [lasting(about, Math.max(...last), now, next)]
  }
  const officers = directory
    .officers(name, now)
    .map(({ officer, notAfter }) =>
      lasting(`officer ${officer}`, notAfter, now, `chappe officer add ${officer} with a new key`),
    )
  return [lasting(about, Math.max(...ends), now, next), ...officers]
}

/** The relay's own folder, read as an auditor would read a copy. */
export async function checkLog(world: World, dir: string, name: string): Promise<Check> {
  const about = `relay ${name}: log`
  const log = join(dir, "log")
  if (!(await exists(join(log, "directory", "checkpoint"))))
    return watch(about, "nothing is published yet", `chappe relay start --dir ${dir}`)
  const trustFile = join(dir, "trust.json")
  const { verifySource } = await import("../../audit/compose.ts")
  const again = `chappe audit verify ${log} --trust ${trustFile}`
  try {
    const { verdict } = await verifySource({
      source: log,
      trustFile,
      sample: 0,
      clock: () => nowSeconds(world),
      onEvent: () => undefined,
    })
    const [doubt] = verdict.doubts
    switch (verdict.verdict) {
      case "ok":
        return good(about, `consistent, ${verdict.entries} entries`)
      case "tampering":
        return bad(about, `${verdict.findings} finding(s): ${verdict.codes.join(", ")}`, again)
      case "unverified":
        return watch(about, doubt?.message ?? "not all could be checked", again)
    }
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    return watch(about, error.message, error.next)
  }
}
