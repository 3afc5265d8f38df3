// Officers of a member: listed by its node, enrolled and revoked by its root key.

import { join } from "node:path"
import { emptyDirectoryHead } from "../../keys/chain-writer.ts"
import { newOfficer } from "../../keys/founding.ts"
import { signChain } from "../../keys/statements.ts"
import { type Role, roleNames } from "../../protocol/capability.ts"
import { toHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { openMemberChain, rootOptions } from "../ceremony/member-chain.ts"
import type { Argument, Command } from "../command.ts"
import { formatTime } from "../duration.ts"
import type { Invocation } from "../invocation.ts"
import { objectsField, textField, wordsField } from "../json.ts"
import { timeText } from "../message-view.ts"
import { asOfficer, nodeOptions, officerName } from "../node-client.ts"
import { exists } from "../private-files.ts"
import { writeKeysWithPassphrase, writeKeysWithSecret } from "../secret.ts"
import { nowSeconds } from "../world.ts"

const nameArgument: Argument = { name: "NAME", help: "such as duty; the part after the slash" }

function rolesOf(input: Invocation): readonly Role[] {
  return input.words("roles").map((word) => {
    const role = roleNames.find((one) => one === word)
    if (role === undefined)
      throw new ChappeError("usage", `${word} is not a role: ${roleNames.join(", ")}`)
    return role
  })
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
  help: "enrol an officer, or give one a new key for 90 days, by the member's root key",
  arguments: [nameArgument],
  options: [
    ...rootOptions,
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
    const member = await openMemberChain(input, world)
    const at = nowSeconds(world)
    const { entry, body } = newOfficer(member.name, { officer, roles }, at, world.random)
    const { statement } = member.chain.append("officer", body, { at, keys: [member.root] })
    const passphraseFile = input.text("officer-passphrase-file")
    // The key is on disk before anybody hears of it.
    if (passphraseFile === undefined) await writeKeysWithSecret(world, keyFile, [entry])
    else await writeKeysWithPassphrase(world, { keyFile, passphraseFile }, [entry])
    await member.publish([statement])
    world.output.result(
      {
        officer: body.officer,
        roles,
        capabilities: body.capabilities,
        notAfter: body.notAfter,
        file: keyFile,
      },
      `${body.officer} is enrolled as ${roles.join(", ")} until ${formatTime(body.notAfter)}; key in ${keyFile}.`,
    )
    return undefined
  },
}

export const officerRevoke: Command = {
  name: "officer revoke",
  help: "end an officer's keys at once, by the member's root key",
  arguments: [nameArgument],
  options: [
    ...rootOptions,
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
    if (!/^[a-z]+(?:-[a-z]+)*$/u.test(reason))
      throw new ChappeError("usage", "--reason is a word of a-z and hyphens")
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
