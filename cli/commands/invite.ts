import { join } from "node:path"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { toHex } from "../../protocol/bytes.ts"
import { decodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { encodeInvitation } from "../../protocol/invitation.ts"
import { limits } from "../../protocol/limits.ts"
import { isMemberName } from "../../protocol/names.ts"
import { pemToDer } from "../ceremony/pem.ts"
import type { Command } from "../command.ts"
import { formatDuration, parseDuration } from "../duration.ts"
import { labFile, readLab } from "../lab/lab-file.ts"
import type { Invocation } from "../invocation.ts"
import { cliLimits } from "../limits.ts"
import { exists, readBytes, writeNew } from "../private-files.ts"
import { readTrust } from "../relay-client.ts"
import { type World, nowSeconds } from "../world.ts"

/** The relay's folder and name: `--dir` is a relay's folder, or a lab's with `--relay`. */
async function relayOf(
  input: Invocation,
): Promise<{ readonly dir: string; readonly name: string }> {
  const dir = input.needed("dir")
  const wanted = input.text("relay")
  if (await exists(labFile(dir))) {
    const { relays } = await readLab(dir)
    const found = relays.find(({ name }) => wanted === undefined || name === wanted)
    if (found === undefined)
      throw new ChappeError("usage", `this lab has no relay ${wanted ?? ""}`.trim())
    return { dir: join(dir, found.dir), name: found.name }
  }
  if (!(await exists(join(dir, "relay.toml"))))
    throw new ChappeError("file-unreadable", `${dir} is neither a lab's nor a relay's folder`)
  const trust = await readTrust(join(dir, "trust.json"))
  const certificate = await readBytes(join(dir, "keys/https.pem"), cliLimits.keyFileBytesMax)
  const pem = new TextDecoder().decode(certificate)
  const own = trust.relays.find((relay) => relay.certificate === pem)
  if (own === undefined)
    throw new ChappeError("config", `${dir}/trust.json does not name this relay's certificate`)
  return { dir, name: own.name }
}

async function linkKeyOf(world: World, dir: string, name: string): Promise<Uint8Array> {
  const trust = await readTrust(join(dir, "trust.json"))
  const directory = new Directory(crypto, trust.anchor)
  const file = await readBytes(join(dir, "directory.chappe"), limits.directoryBundleBytesMax)
  directory.applyInOrder(decodeDirectoryBundle(file).statements)
  const [key] = directory.linkKeys(name, nowSeconds(world))
  if (key === undefined) throw new ChappeError("key-expired", `${name} has no valid link key`)
  return key
}

export const invite: Command = {
  name: "invite",
  help: "make the one file that a new member needs to join",
  arguments: [{ name: "MEMBER", help: "the name it will have, such as KE" }],
  options: [
    {
      name: "dir",
      value: "D",
      needed: true,
      help: "a lab's or a relay's folder",
      offers: "folders",
    },
    { name: "relay", value: "NAME", help: "which relay of a lab; the first unless told otherwise" },
    { name: "expires", value: "14d", help: "how long the invitation is good" },
    { name: "out", value: "F", needed: true, help: "the invitation's file", offers: "files" },
  ],
  examples: [
    {
      line: "chappe invite KE --dir lab --out KE.invitation",
      says: "hand it over; it is good once",
    },
  ],
  async run(input, world) {
    const member = input.argument("MEMBER")
    if (!isMemberName(member)) throw new ChappeError("usage", `${member} is not a member's name`)
    const life = parseDuration(input.text("expires") ?? `${cliLimits.invitationSeconds}s`)
    const { dir, name } = await relayOf(input)
    const trust = await readTrust(join(dir, "trust.json"))
    const relay = trust.relays.find((one) => one.name === name)
    if (relay === undefined) throw new ChappeError("config", `trust.json does not name ${name}`)
    const out = input.needed("out")
    if (await exists(out)) throw new ChappeError("file-exists", `${out} exists`)
    const token = world.random(32)
    const invitation = encodeInvitation({
      version: 1,
      custodians: trust.anchor.custodians,
      rosterNumber: trust.anchor.number,
      rosterId: trust.anchor.rosterId,
      relay: name,
      urls: [relay.url],
      certificate: pemToDer(relay.certificate),
      linkKey: await linkKeyOf(world, dir, name),
      token,
    })
    // The relay keeps the token's hash only: reading its disk lets nobody in.
    const expires = nowSeconds(world) + life
    const record = { type: "chappe/token/v1", member, expires }
    const file = join(dir, "tokens", `${toHex(sha256(token))}.json`)
    await writeNew(file, `${JSON.stringify(record)}\n`)
    await writeNew(out, invitation)
    world.output.result(
      { member, relay: name, file: out, expires },
      [
        `${out} lets ${member} in through ${name}, once, within ${formatDuration(life)}.`,
        `There: chappe join ${out} --dir ${member.toLowerCase()}`,
      ].join("\n"),
    )
    return undefined
  },
}
