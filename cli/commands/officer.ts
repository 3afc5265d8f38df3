// Officers of a member: listed by its node, enrolled and revoked by its root key or by an officer who may.

import { rm } from "node:fs/promises"
import { join } from "node:path"
import { emptyDirectoryHead } from "../../keys/chain-writer.ts"
import { newOfficer } from "../../keys/founding.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { signChain } from "../../keys/statements.ts"
import { type Role, roleNames } from "../../protocol/capability.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { isCodeName } from "../../protocol/names.ts"
import { memberNameIn, openMemberChain, rootOptions } from "../ceremony/member-chain.ts"
import type { Argument, Command, Option } from "../command.ts"
import { formatTime } from "../duration.ts"
import type { Invocation } from "../invocation.ts"
import { objectsField, textField, wordsField } from "../json.ts"
import { timeText } from "../message-view.ts"
import { asOfficer, nodeOptions, officerName } from "../node-client.ts"
import { exists } from "../private-files.ts"
import { secretBeside, writeKeysWithPassphrase, writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

const nameArgument: Argument = { name: "NAME", help: "such as duty; the part after the slash" }

function rolesOf(input: Invocation): readonly Role[] {
  return input.words("roles").map((word) => {
    const role = roleNames.find((one) => one === word)
    if (role === undefined)
      throw new ChappeError("usage", `${word} is not a role: ${roleNames.join(", ")}`)
    return role
  })
}

const asOption: Option = {
  name: "as",
  value: "OFFICER",
  help: "without --root: the officer who enrols or revokes; supervisor unless told otherwise",
}

export const officerList: Command = {
  name: "officer list",
  help: "list a node's officers, what they may do and until when",
  arguments: [],
  options: nodeOptions,
  examples: [{ line: "chappe officer list --node lab/nodes/FR", says: "as the supervisor" }],
  async run(input, world) {
    const { output } = world
    const answer = await asOfficer(
      input,
      world,
      (client) => client.get("/v1/officers"),
      "supervisor",
    )
    for (const officer of objectsField(answer, "officers"))
      output.result(
        officer,
        output.table([
          [
            textField(officer, "officer"),
            wordsField(officer, "roles").join(","),
            `until ${timeText(officer, "notAfter")}`,
          ],
        ]),
      )
    return undefined
  },
}

export const officerAdd: Command = {
  name: "officer add",
  help: "enrol an officer, or give one a new key for 90 days, by the member's root key or a supervisor",
  arguments: [nameArgument],
  options: [
    ...rootOptions,
    asOption,
    {
      name: "roles",
      value: "officer,releaser",
      needed: true,
      help: `some of ${roleNames.join(", ")}`,
    },
    {
      name: "out",
      value: "F",
      help: "the key file; officers/NAME.key unless told otherwise",
      offers: "files",
    },
    {
      name: "officer-passphrase-file",
      value: "F",
      help: "protect the new key by this passphrase; by a .secret file beside it otherwise",
      offers: "files",
    },
  ],
  examples: [
    {
      line: "chappe officer add night --node lab/nodes/FR --roles officer,releaser --root lab/roots/FR.key",
      says: "a second duty officer",
    },
  ],
  async run(input, world) {
    const officer = officerName(input.argument("NAME"))
    const roles = rolesOf(input)
    const keyFile = input.text("out") ?? join(input.needed("node"), "officers", `${officer}.key`)
    if (await exists(keyFile))
      throw new ChappeError("file-exists", `${keyFile} exists; move the old key away first`)
    const enrolled = await enrolBy(input, world, { officer, roles, keyFile })
    world.output.result(
      { officer: enrolled.officer, roles, notAfter: enrolled.notAfter, file: keyFile },
      `${enrolled.officer} is enrolled as ${roles.join(", ")} until ${formatTime(enrolled.notAfter)}; key in ${keyFile}.`,
    )
    return undefined
  },
}

type Enrolled = { readonly officer: string; readonly notAfter: number }

/** By the root key where one is named, else by an officer who may enrol and holds all that is given. */
async function enrolBy(
  input: Invocation,
  world: World,
  plan: { readonly officer: string; readonly roles: readonly Role[]; readonly keyFile: string },
): Promise<Enrolled> {
  const { officer, roles, keyFile } = plan
  const at = nowSeconds(world)
  if (input.text("root") === undefined) {
    const member = await memberNameIn(input.needed("node"))
    const made = newOfficer(member, { officer, roles }, at, world.random)
    return asOfficer(
      input,
      world,
      async (client) => {
        await writeOfficerKey(input, world, keyFile, made.entry)
        try {
          await client.post("/v1/officers", {
            officer,
            key: toHex(made.body.key),
            possession: toHex(made.body.possession),
            roles,
          })
        } catch (error) {
          await removeKey(keyFile)
          throw error
        }
        return made.body
      },
      "supervisor",
    )
  }
  const member = await openMemberChain(input, world)
  const { entry, body } = newOfficer(member.name, { officer, roles }, at, world.random)
  const { statement } = member.chain.append("officer", body, { at, keys: [member.root] })
  // The key is on disk before anybody hears of it.
  await writeOfficerKey(input, world, keyFile, entry)
  await member.publish([statement])
  return body
}

async function writeOfficerKey(
  input: Invocation,
  world: World,
  keyFile: string,
  entry: KeyEntry,
): Promise<void> {
  const passphraseFile = input.text("officer-passphrase-file")
  if (passphraseFile === undefined) await writeKeysWithSecret(world, keyFile, [entry])
  else await writeKeysWithPassphrase(world, { keyFile, passphraseFile }, [entry])
}

/** A key that the node refused to enrol is of no use. */
async function removeKey(keyFile: string): Promise<void> {
  await rm(keyFile, { force: true })
  await rm(secretBeside(keyFile), { force: true })
}

export const officerRevoke: Command = {
  name: "officer revoke",
  help: "end an officer's keys at once, by the member's root key or a supervisor",
  arguments: [nameArgument],
  options: [
    ...rootOptions,
    asOption,
    { name: "reason", value: "R", help: "one word such as left or compromised" },
  ],
  examples: [
    {
      line: "chappe officer revoke night --node lab/nodes/FR --root lab/roots/FR.key --reason left",
      says: "nothing signed later counts",
    },
  ],
  async run(input, world) {
    const officer = officerName(input.argument("NAME"))
    const reason = input.text("reason") ?? "revoked"
    if (!isCodeName(reason)) throw new ChappeError("usage", "--reason is a word of a-z and hyphens")
    if (input.text("root") === undefined) {
      const answer = await asOfficer(
        input,
        world,
        (client) => client.post(`/v1/officers/${officer}/revoke`, {}),
        "supervisor",
      )
      world.output.result(answer, `${textField(answer, "officer")}: revoked.`)
      return undefined
    }
    const member = await openMemberChain(input, world)
    const { name, directory, station, root } = member
    const id = `${name}/${officer}`
    const at = nowSeconds(world)
    const keys = station.officers.filter(
      (one) =>
        one.officer === id && one.notAfter >= at && !directory.isRevokedAnywhere(name, one.keyId),
    )
    if (keys.length === 0) throw new ChappeError("unknown-officer", `${id} has no valid key`)
    const statements = keys.map(
      ({ keyId }) =>
        signChain(
          {
            name,
            seq: null,
            prev: null,
            op: "revoke",
            at,
            head: emptyDirectoryHead,
            body: { keyId, reason },
          },
          [root],
        ).statement,
    )
    await member.publish(statements)
    const keyIds = keys.map(({ keyId }) => toHex(keyId))
    world.output.result(
      { officer: id, revoked: keyIds },
      `${id}: ${keyIds.length} key(s) revoked. What was logged before stays valid.`,
    )
    return undefined
  },
}
