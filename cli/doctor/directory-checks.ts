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
import { exists, readBytes } from "../private-files.ts"
import { openKeys, secretBeside } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { type Check, bad, good, watch } from "./check.ts"
import { lastingCheck, officerCheck, rosterCheck, rotateAdvice } from "./lasting.ts"

/** The directory that a process starts with, from its bundle file. */
export async function directoryIn(file: string, trust: TrustFile): Promise<Directory> {
  const bundle = await readBytes(file, limits.directoryBundleBytesMax)
  const directory = new Directory(crypto, trust.anchor)
  directory.applyInOrder(decodeDirectoryBundle(bundle).statements)
  return directory
}

export function checkRoster(world: World, directory: Directory): Check {
  const { number, expires } = directory.roster()
  return rosterCheck(number, expires, nowSeconds(world))
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
  const next = role === "node" ? rotateAdvice(dir) : "name new relay keys with the relay's root key"
  const ends = entries
    .filter(({ use }) => use === role)
    .map(({ publicKey }) => keyId(sha256, role, publicKey))
    .map((id) => directory.stationKeyAt(name, id, "now", now))
    .flatMap((found) => (found.kind === "valid" ? [found.key.notAfter] : []))
  if (ends.length === 0) return [lastingCheck(about, 0, now, next)]
  if (role === "relay") {
    // Its later keys are named already.
    const all = (directory.station(name)?.keys ?? []).map(({ notAfter }) => notAfter)
    return [lastingCheck(about, Math.max(...all), now, next)]
  }
  const officers = directory
    .officers(name, now)
    .map(({ officer, notAfter }) => officerCheck(officer, notAfter, now))
  return [lastingCheck(about, Math.max(...ends), now, next), ...officers]
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
