import { rm } from "node:fs/promises"
import { join as joinPath, resolve } from "node:path"
import { fingerprintHex, fingerprintWords } from "../../keys/fingerprint.ts"
import { foundMember } from "../../keys/founding.ts"
import { toHex } from "../../protocol/bytes.ts"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type Invitation, decodeInvitation } from "../../protocol/invitation.ts"
import {
  type JoinRequest,
  decodeJoinRequest,
  encodeJoinRequest,
} from "../../protocol/join-request.ts"
import { isMemberName } from "../../protocol/names.ts"
import { memberStatuses } from "../../protocol/roster.ts"
import type { TrustFile } from "../../protocol/trust-file.ts"
import { firstOfficers, nodeConfigText, writeNode } from "../ceremony/node-folder.ts"
import { derToPem } from "../ceremony/pem.ts"
import type { Command } from "../command.ts"
import { freePorts } from "../lab/free-ports.ts"
import { genesisOf } from "../lab/custodians.ts"
import type { Invocation } from "../invocation.ts"
import { cliLimits } from "../limits.ts"
import { exists, readBytes, requireEmptyFolder, writeNew } from "../private-files.ts"
import { fetchDirectory, postJoin, tokenCredential, withAnyRelay } from "../relay-client.ts"
import { writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

function trustOf(invitation: Invitation): TrustFile {
  const certificate = derToPem(invitation.certificate)
  return {
    anchor: {
      custodians: invitation.custodians,
      number: invitation.rosterNumber,
      rosterId: invitation.rosterId,
    },
    relays: invitation.urls.map((url) => ({ name: invitation.relay, url, certificate })),
    auditor: undefined,
  }
}

/** The active relays, the one that invited first. */
function homesFrom(directory: Directory, invited: string): readonly string[] {
  const others = directory.activeRelays().filter((name) => name !== invited)
  return [invited, ...others].slice(0, 16)
}

function readInvitation(bytes: Uint8Array): Invitation {
  try {
    return decodeInvitation(bytes)
  } catch (cause) {
    if (!(cause instanceof ChappeError)) throw cause
    throw new ChappeError("invitation", cause.message, { cause })
  }
}

export const join: Command = {
  name: "join",
  help: "join a network by an invitation: makes all keys and asks the custodians",
  arguments: [{ name: "FILE", help: "the invitation", offers: "files" }],
  options: [
    {
      name: "dir",
      value: "NODE-DIR",
      needed: true,
      help: "the node's folder, new or empty",
      offers: "folders",
    },
    { name: "name", value: "KE", help: "the member's name; the folder's unless told otherwise" },
    { name: "http-port", value: "P", help: "the node's port on 127.0.0.1; a free one otherwise" },
    { name: "desk", help: "this member is the HQ desk" },
  ],
  examples: [
    {
      line: "chappe join KE.invitation --dir KE",
      says: "then read the fingerprint over the phone",
    },
  ],
  async run(input, world) {
    const dir = resolve(input.needed("dir"))
    const name = (input.text("name") ?? dir.slice(dir.lastIndexOf("/") + 1)).toUpperCase()
    if (!isMemberName(name))
      throw new ChappeError("usage", `${name} is not a member's name; give one with --name`)
    const file = input.argument("FILE")
    const invitation = readInvitation(await readBytes(file, cliLimits.statementFileBytesMax))
    const trust = trustOf(invitation)
    const directory = await withAnyRelay(trust, (relay) =>
      fetchDirectory(relay, trust.anchor, tokenCredential(invitation.token)),
    )
    const linkKeys = directory.linkKeys(invitation.relay, nowSeconds(world)).map(toHex)
    if (!linkKeys.includes(toHex(invitation.linkKey)))
      throw new ChappeError("invitation", `the directory knows another key of ${invitation.relay}`)
    const taken = directory.member(name)
    if (taken !== undefined && taken.status !== memberStatuses.removed)
      throw new ChappeError("file-exists", `the roster names ${name} already`)
    const requestFile = joinPath(dir, "join.request")
    const isRepeated = await exists(requestFile)
    const request = isRepeated
      ? decodeJoinRequest(await readBytes(requestFile, cliLimits.statementFileBytesMax))
      : await foundNode({ input, world, dir, name, invitation, trust, directory })
    const bytes = encodeJoinRequest(request)
    try {
      await withAnyRelay(trust, (relay) => postJoin(relay, invitation.token, bytes))
    } catch (error) {
      // A relay that is away may be asked again with the same keys; keys that nobody has heard of may go.
      const isFinal = error instanceof ChappeError && error.code !== "no-relay"
      if (isFinal && !isRepeated) await rm(dir, { recursive: true, force: true })
      throw error
    }

    const genesisId = genesisOf(request)
    const fingerprint = genesisId.slice(0, 16)
    const hex = fingerprintHex(fingerprint)
    const words = fingerprintWords(fingerprint)
    world.output.result(
      { member: name, dir, genesis: toHex(genesisId), fingerprint: hex, words },
      [
        `${name} has asked to join. Call the custodians and read this to them:`,
        `  fingerprint ${hex}`,
        `  in words    ${words}`,
        `Start the node now; it waits until the roster names it: chappe node start --dir ${input.needed("dir")}`,
        `Move ${joinPath(dir, "root")} to a place that is offline: whoever has it can replace this member's keys.`,
      ].join("\n"),
    )
    return undefined
  },
}

/** All keys and the node's folder; the request, last of all, is what the relay gets. */
async function foundNode(options: {
  readonly input: Invocation
  readonly world: World
  readonly dir: string
  readonly name: string
  readonly invitation: Invitation
  readonly trust: TrustFile
  readonly directory: Directory
}): Promise<JoinRequest> {
  const { input, world, dir, name, invitation, trust, directory } = options
  await requireEmptyFolder(dir)
  const founded = foundMember({
    name,
    homes: homesFrom(directory, invitation.relay),
    officers: firstOfficers(input.flag("desk")),
    at: nowSeconds(world),
    random: world.random,
  })
  const [freePort = 0] = await freePorts(1, world.random)
  const httpPort = input.integer("http-port", { min: 1, max: 65_535 }) ?? freePort
  const statements = directory.statements().map(({ kind, statement }) => ({ kind, statement }))
  await writeKeysWithSecret(world, joinPath(dir, "root", "root.key"), founded.root)
  await writeNode(world, dir, founded, {
    config: nodeConfigText({ name, httpPort }),
    trust,
    directory: encodeDirectoryBundle({ version: 1, statements }),
  })
  const request: JoinRequest = {
    version: 1,
    name,
    statements: founded.statements,
    prekeys: founded.prekeyPublicKeys,
  }
  await writeNew(joinPath(dir, "join.request"), encodeJoinRequest(request))
  return request
}
