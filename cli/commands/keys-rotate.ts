// A node's next key, and its next incarnation: named by the member's root key.

import { join } from "node:path"
import { ChainWriter } from "../../keys/chain-writer.ts"
import { fingerprintHex, fingerprintWords } from "../../keys/fingerprint.ts"
import { lifeFrom, newSigningKey, newWitnessKey } from "../../keys/founding.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { type SignedStatement, possessionOf } from "../../keys/statements.ts"
import { emptyBytes, toHex } from "../../protocol/bytes.ts"
import { limits } from "../../protocol/limits.ts"
import { type MemberChain, openMemberChain, rootOptions } from "../ceremony/member-chain.ts"
import type { Command } from "../command.ts"
import { formatTime } from "../duration.ts"
import { rewriteKeys } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

type NewNodeKey = {
  readonly entries: readonly KeyEntry[]
  readonly keyId: Uint8Array
  readonly notAfter: number
  readonly statements: readonly SignedStatement[]
}

/** A node key with its link key, named and linked. */
function newNodeKey(member: MemberChain, world: World, incarnation: number): NewNodeKey {
  const at = nowSeconds(world)
  const { name, chain, root } = member
  const node = newSigningKey("node", world.random)
  const link = newSigningKey("link", world.random)
  const life = lifeFrom(at, limits.nodeKeySecondsMax)
  const naming = chain.append(
    "node",
    {
      key: node.key.publicKey,
      incarnation,
      ...life,
      possession: possessionOf(name, node.key),
    },
    { at, keys: [root] },
  )
  const own = new ChainWriter({ name, seq: -1, head: naming.id })
  const linking = own.append(
    "link",
    {
      key: link.key.publicKey,
      notAfter: life.notAfter,
      possession: possessionOf(name, link.key),
    },
    { at, keys: [node.key] },
  )
  return {
    entries: [node.entry, link.entry],
    keyId: node.key.keyId,
    notAfter: life.notAfter,
    statements: [naming, linking],
  }
}

function tell(
  world: World,
  member: MemberChain,
  made: NewNodeKey & { readonly incarnation: number },
): void {
  world.output.result(
    {
      member: member.name,
      keyId: toHex(made.keyId),
      incarnation: made.incarnation,
      notAfter: made.notAfter,
    },
    [
      `${member.name} has a new node key, incarnation ${made.incarnation}, until ${formatTime(made.notAfter)}.`,
      `  fingerprint ${fingerprintHex(made.keyId)}`,
      `  in words    ${fingerprintWords(made.keyId)}`,
      `Restart the node so that it takes the key: chappe node start --dir ${member.dir}`,
    ].join("\n"),
  )
}

export const keysRotate: Command = {
  name: "keys rotate",
  help: "name a node's next key for 90 days; the one before stays valid until its end",
  arguments: [],
  options: rootOptions.map((option) =>
    option.name === "root" ? { ...option, needed: true } : option,
  ),
  examples: [
    {
      line: "chappe keys rotate --node lab/nodes/FR --root lab/roots/FR.key",
      says: "14 days before the old key ends at the latest",
    },
  ],
  async run(input, world) {
    const member = await openMemberChain(input, world)
    const incarnation = Math.max(1, member.directory.currentIncarnation(member.name))
    const made = newNodeKey(member, world, incarnation)
    // The key is on disk before anybody hears of it.
    const keyFile = join(member.dir, "keys", "node.key")
    const entries = [...member.nodeEntries, ...made.entries]
    await rewriteKeys(world, { keyFile, passphraseFile: undefined }, entries)
    await member.publish(made.statements.map(({ statement }) => statement))
    tell(world, member, { ...made, incarnation })
    return undefined
  },
}

export const keysNewIncarnation: Command = {
  name: "keys new-incarnation",
  help: "start a node anew after a restore or a clone: new keys, and a new standby key",
  arguments: [],
  options: rootOptions.map((option) =>
    option.name === "root" ? { ...option, needed: true } : option,
  ),
  examples: [
    {
      line: "chappe keys new-incarnation --node lab/nodes/FR --root lab/roots/FR.key",
      says: "every earlier key of the node ends here",
    },
  ],
  async run(input, world) {
    const member = await openMemberChain(input, world)
    const { name, chain, root, dir, station } = member
    const at = nowSeconds(world)
    const known = Math.max(1, ...station.keys.map((key) => key.incarnation))
    const incarnation = known + 1
    const made = newNodeKey(member, world, incarnation)
    const standby = newSigningKey("node", world.random)
    const witness = newWitnessKey(name, world.random)
    const byRoot = { at, keys: [root] }
    const naming = [
      chain.append(
        "standby",
        {
          key: standby.key.publicKey,
          incarnation: incarnation + 1,
          ...lifeFrom(at, 365 * limits.secondsPerDay),
          possession: possessionOf(name, standby.key),
        },
        byRoot,
      ),
      chain.append("witness", witness.body, byRoot),
    ]
    const hedge: KeyEntry = { use: "hedge", publicKey: emptyBytes, secret: world.random(32) }
    // What was stored stays readable; nothing that signed before is kept.
    const kept = member.nodeEntries.filter(({ use }) => use === "data")
    const [node, link] = made.entries
    const entries = [node, link, witness.entry, hedge, ...kept].filter((one) => one !== undefined)
    const passphraseFile = undefined
    const keyFile = join(dir, "keys", "node.key")
    await rewriteKeys(world, { keyFile, passphraseFile }, entries)
    const standbyFile = join(dir, "keys", "standby.key")
    await rewriteKeys(world, { keyFile: standbyFile, passphraseFile }, [standby.entry])
    const [first, ...rest] = made.statements
    const inOrder = [first, ...naming, ...rest].filter((one) => one !== undefined)
    await member.publish(inOrder.map(({ statement }) => statement))
    tell(world, member, { ...made, incarnation })
    return undefined
  },
}
