// The custodians' ceremony: draft the next roster, look at it, sign one by one, publish.

import { join } from "node:path"
import { crypto } from "../../keys/crypto.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { addSignatures, signRoster } from "../../keys/statements.ts"
import { fromHex, fromUtf8 } from "../../protocol/bytes.ts"
import { parseDeliveryPolicy } from "../../protocol/delivery-policy.ts"
import { encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { decodeJoinRequest } from "../../protocol/join-request.ts"
import { isMemberName } from "../../protocol/names.ts"
import type { Roster } from "../../protocol/roster.ts"
import { type TrustFile, formatTrustFile } from "../../protocol/trust-file.ts"
import { firstPolicies } from "../ceremony/first-policies.ts"
import { readPolicies, witnessPolicy, writePolicies } from "../ceremony/policy-files.ts"
import { firstRoster } from "../ceremony/first-roster.ts"
import { type RosterChange, draftRoster } from "../ceremony/roster-draft.ts"
import {
  type RosterFile,
  readRosterFile,
  rosterObject,
  rosterOf,
  rosterText,
} from "../ceremony/roster-file.ts"
import { readFounding } from "../ceremony/relay-founding.ts"
import type { Command, Option } from "../command.ts"
import type { Invocation } from "../invocation.ts"
import { genesisOf } from "../lab/custodians.ts"
import { cliLimits } from "../limits.ts"
import { readBytes, replaceFile, writeNew } from "../private-files.ts"
import {
  auditorCredential,
  fetchDirectory,
  postStatement,
  readTrust,
  withAnyRelay,
} from "../relay-client.ts"
import { openKeys, passphraseOption } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

const sourceOptions: readonly Option[] = [
  {
    name: "trust",
    value: "T",
    help: "read the published roster from a relay; the trust file names it and the auditor's key",
    offers: "files",
  },
  { name: "file", value: "F", help: "read the roster from this file instead", offers: "files" },
]

const outOption: Option = {
  name: "out",
  value: "F",
  needed: true,
  help: "the new roster's file, for the custodians to sign",
  offers: "files",
}

/** The published roster, or the one in a file. Refused: `usage` where neither is named. */
async function currentRoster(input: Invocation, world: World): Promise<RosterFile> {
  const file = input.text("file")
  if (file !== undefined) return readRosterFile(file)
  const trustFile = input.text("trust")
  if (trustFile === undefined)
    throw new ChappeError("usage", `${input.command.name} needs --trust or --file`)
  return publishedRoster(await publishedDirectory(world, trustFile))
}

/** Refused: `roster`. */
function publishedRoster(directory: Directory): RosterFile {
  const latest = directory.rosterStatement()
  if (latest === undefined) throw new ChappeError("roster", "the relay shows no roster")
  return rosterOf(latest.statement)
}

async function publishedDirectory(world: World, trustFile: string): Promise<Directory> {
  const trust = await readTrust(trustFile)
  const credential = await auditorCredential(world, trustFile, trust)
  return withAnyRelay(trust, (relay) => fetchDirectory(relay, trust.anchor, credential))
}

export const rosterShow: Command = {
  name: "roster show",
  help: "show who is a member, and what a custodian is asked to sign",
  arguments: [],
  options: sourceOptions,
  examples: [
    { line: "chappe roster show --trust lab/trust.json", says: "the published roster" },
    { line: "chappe roster show --file next.roster", says: "look before you sign" },
  ],
  async run(input, world) {
    const found = await currentRoster(input, world)
    const file = input.text("file")
    const policies = file === undefined ? [] : await readPolicies(file)
    world.output.result(
      { ...rosterObject(found), policies: policies.map((bytes) => fromUtf8(bytes)) },
      [rosterText(world.output, found), ...policies.map((bytes) => fromUtf8(bytes))].join("\n\n"),
    )
    return undefined
  },
}

async function writeDraft(world: World, roster: Roster, out: string): Promise<void> {
  const { statement } = signRoster(roster, [])
  await writeNew(out, statement)
  const file = rosterOf(statement)
  world.output.result(
    rosterObject(file),
    `${rosterText(world.output, file)}\n\nWritten to ${out}. Each custodian now signs: chappe roster sign ${out} --key K`,
  )
}

async function changeRoster(
  input: Invocation,
  world: World,
  change: RosterChange,
): Promise<undefined> {
  const { roster } = await currentRoster(input, world)
  await writeDraft(world, draftRoster(roster, nowSeconds(world), change), input.needed("out"))
  return undefined
}

export const rosterAdd: Command = {
  name: "roster add",
  help: "draft the roster that adds a member",
  arguments: [{ name: "MEMBER", help: "its name, such as KE" }],
  options: [
    {
      name: "request",
      value: "F",
      help: "its join request, from the relay's joins folder",
      offers: "files",
    },
    { name: "genesis", value: "HEX", help: "or its genesis id, 64 hex digits" },
    { name: "desk", help: "it is the HQ desk" },
    { name: "partner", help: "it is a partner body" },
    ...sourceOptions,
    outOption,
  ],
  examples: [
    {
      line: "chappe roster add KE --request lab/relays/hub1/joins/KE.join --trust lab/trust.json --out next.roster",
      says: "after comparing the fingerprint over the telephone",
    },
  ],
  async run(input, world) {
    const name = input.argument("MEMBER")
    if (!isMemberName(name)) throw new ChappeError("usage", `${name} is not a member's name`)
    const genesisId = await genesisFor(input, name)
    const flags = [
      ...(input.flag("desk") ? (["desk"] as const) : []),
      ...(input.flag("partner") ? (["partner"] as const) : []),
    ]
    return changeRoster(input, world, { kind: "add-member", name, genesisId, flags })
  },
}

export const rosterAddRelay: Command = {
  name: "roster add-relay",
  help: "draft the roster that adds a relay",
  arguments: [{ name: "FOUNDING", help: "its founding file, from relay init", offers: "files" }],
  options: [...sourceOptions, outOption],
  examples: [
    {
      line: "chappe roster add-relay hub3/founding.json --trust lab/trust.json --out next.roster",
      says: "after comparing the fingerprint over the telephone; publish it with --relay",
    },
  ],
  async run(input, world) {
    const { trusted, genesisId } = await readFounding(input.argument("FOUNDING"))
    return changeRoster(input, world, { kind: "add-relay", name: trusted.name, genesisId })
  },
}

async function genesisFor(input: Invocation, name: string): Promise<Uint8Array> {
  const file = input.text("request")
  if (file === undefined) return hashOption(input, "genesis")
  const request = decodeJoinRequest(await readBytes(file, cliLimits.statementFileBytesMax))
  if (request.name !== name)
    throw new ChappeError("usage", `${file} is the request of ${request.name}, not of ${name}`)
  return genesisOf(request)
}

function hashOption(input: Invocation, option: string): Uint8Array {
  const text = input.needed(option).replaceAll(/\s/gu, "").toLowerCase()
  if (!/^[0-9a-f]{64}$/u.test(text))
    throw new ChappeError("usage", `--${option} is not 64 hex digits`)
  return fromHex(text)
}

export const rosterSuspend: Command = {
  name: "roster suspend",
  help: "draft the roster that suspends a member or relay, removes it, or takes it back",
  arguments: [{ name: "NAME", help: "a member or relay" }],
  options: [
    { name: "remove", help: "remove it for good" },
    { name: "restore", help: "take it back" },
    ...sourceOptions,
    outOption,
  ],
  examples: [
    {
      line: "chappe roster suspend BR --trust lab/trust.json --out next.roster",
      says: "BR can still read what was sent before",
    },
  ],
  async run(input, world) {
    if (input.flag("remove") && input.flag("restore"))
      throw new ChappeError("usage", "--remove and --restore exclude each other")
    const status = input.flag("remove") ? "removed" : input.flag("restore") ? "active" : "suspended"
    return changeRoster(input, world, { kind: "status", name: input.argument("NAME"), status })
  },
}

export const rosterPolicy: Command = {
  name: "roster policy",
  help: "draft the roster that names another witness quorum or other deadlines",
  arguments: [],
  options: [
    {
      name: "quorum",
      value: "K",
      help: "a checkpoint counts as witnessed with cosignatures of K of the present members; none for no quorum",
    },
    {
      name: "delivery",
      value: "F",
      help: "the delivery policy, a JSON file as docs/PROTOCOL.md describes it",
      offers: "files",
    },
    { name: "trust", value: "T", needed: true, help: "names the relays", offers: "files" },
    outOption,
  ],
  examples: [
    {
      line: "chappe roster policy --quorum 3 --trust lab/trust.json --out next.roster",
      says: "the policy's text goes with the roster, as next.roster.policies",
    },
  ],
  async run(input, world) {
    const directory = await publishedDirectory(world, input.needed("trust"))
    const { roster } = publishedRoster(directory)
    const quorum = input.text("quorum")
    const delivery = input.text("delivery")
    if (quorum === undefined && delivery === undefined)
      throw new ChappeError("usage", "name --quorum, --delivery or both")
    const policies = {
      witness: quorum === undefined ? undefined : witnessPolicy(directory, quorum),
      delivery:
        delivery === undefined
          ? undefined
          : await readBytes(delivery, cliLimits.statementFileBytesMax),
    }
    if (policies.delivery !== undefined) parseDeliveryPolicy(policies.delivery)
    const next = draftRoster(roster, nowSeconds(world), { kind: "policy", ...policies })
    const out = input.needed("out")
    await writePolicies(out, [policies.witness, policies.delivery])
    await writeDraft(world, next, out)
    return undefined
  },
}

export const rosterSign: Command = {
  name: "roster sign",
  help: "add a custodian's signature to a roster file",
  arguments: [{ name: "FILE", help: "the roster's file", offers: "files" }],
  options: [
    { name: "key", value: "K", needed: true, help: "the custodian's key file", offers: "files" },
    passphraseOption,
  ],
  examples: [
    {
      line: "chappe roster sign next.roster --key custodian-1.key",
      says: "one custodian after the other, each at an own machine",
    },
  ],
  async run(input, world) {
    const path = input.argument("FILE")
    const before = await readRosterFile(path)
    const keys = await custodianKeys(world, input.needed("key"), input.text("passphrase-file"))
    const { statement } = addSignatures("roster", before.statement, keys)
    const after = rosterOf(statement)
    await replaceFile(path, statement)
    const { threshold } = after.roster.custodians
    const outside = after.signers === before.signers
    world.output.result(
      { ...rosterObject(after), threshold },
      `${path}: ${after.signers} of ${threshold} needed signatures.` +
        (outside
          ? " This key was not a custodian's of this roster, or had signed before; it may count for the roster before."
          : ""),
    )
    return undefined
  },
}

async function custodianKeys(
  world: World,
  file: string,
  passphraseFile: string | undefined,
): Promise<readonly SigningKey[]> {
  const entries = await openKeys(world, file, passphraseFile)
  const keys = entries
    .filter(({ use }) => use === "custodian")
    .map(({ secret }) => signingKey("custodian", secret))
  if (keys.length === 0) throw new ChappeError("key-file", `${file} holds no custodian's key`)
  return keys
}

export const rosterPublish: Command = {
  name: "roster publish",
  help: "give a signed roster to the relays, which pass it on",
  arguments: [{ name: "FILE", help: "the roster's file", offers: "files" }],
  options: [
    { name: "trust", value: "T", needed: true, help: "names the relays", offers: "files" },
    {
      name: "relay",
      value: "F",
      many: true,
      help: "the founding file of a relay that the roster adds",
      offers: "files",
    },
  ],
  examples: [
    {
      line: "chappe roster publish next.roster --trust lab/trust.json",
      says: "any one relay is enough; all that answer get it",
    },
  ],
  async run(input, world) {
    const found = await readRosterFile(input.argument("FILE"))
    const { threshold } = found.roster.custodians
    if (found.signers < threshold)
      throw new ChappeError("roster", `${found.signers} of ${threshold} needed custodians signed`)
    const trust = await readTrust(input.needed("trust"))
    const policies = await readPolicies(input.argument("FILE"))
    const given: string[] = []
    const added = await Promise.all(input.texts("relay").map(readFounding))
    let failure = new ChappeError("no-relay", "the trust file names no relay")
    for (const relay of trust.relays) {
      try {
        await postStatement(relay, "roster", found.statement)
        for (const policy of policies) await postStatement(relay, "policy", policy)
        for (const { statements } of added)
          for (const statement of statements) await postStatement(relay, "chain", statement)
        given.push(relay.name)
      } catch (error) {
        if (!(error instanceof ChappeError)) throw error
        failure = error
        world.output.say(`${relay.name}: ${error.message}`)
      }
    }
    if (given.length === 0) throw failure
    world.output.result(
      { number: found.roster.number, published: given },
      `Roster ${found.roster.number} is with ${given.join(" and ")}.`,
    )
    return undefined
  },
}

export const rosterInit: Command = {
  name: "roster init",
  help: "draft a new network's first roster: its custodians and its relays; members join by invitation",
  arguments: [],
  options: [
    {
      name: "custodian",
      value: "HEX",
      many: true,
      needed: true,
      help: "a custodian's public key, as keys new shows it",
    },
    { name: "threshold", value: "M", needed: true, help: "how many of them must sign" },
    {
      name: "relay",
      value: "F",
      many: true,
      needed: true,
      help: "a relay's founding file, from relay init",
      offers: "files",
    },
    { name: "auditor", value: "NAME=HEX", many: true, help: "an auditor's name and public key" },
    outOption,
  ],
  examples: [
    {
      line: "chappe roster init --custodian HEX1 --custodian HEX2 --custodian HEX3 --threshold 2 --relay hub1/founding.json --out first.roster",
      says: "two of three custodians",
    },
  ],
  async run(input, world) {
    const at = nowSeconds(world)
    const relays = await Promise.all(input.texts("relay").map(readFounding))
    const keys = input.texts("custodian").map((text) => publicKeyOf(text, "--custodian"))
    const roster = firstRoster({
      at,
      custodians: {
        threshold: input.integer("threshold", { min: 1, max: keys.length }) ?? keys.length,
        keys,
      },
      members: [],
      desk: undefined,
      relays: relays.map(({ trusted: { name }, genesisId }) => ({ name, genesisId })),
      auditors: input.texts("auditor").map((text) => {
        const [name = "", hex = ""] = text.split("=")
        return { name, key: publicKeyOf(hex, "--auditor") }
      }),
    })
    await writeDraft(world, roster, input.needed("out"))
    return undefined
  },
}

/** Everything that a process needs to start with, from the signed first roster. */
export const rosterInstall: Command = {
  name: "roster install",
  help: "put a new network's signed first roster into a relay's folder, as trust.json and directory.chappe",
  arguments: [{ name: "FILE", help: "the signed first roster", offers: "files" }],
  options: [
    { name: "dir", value: "DIR", needed: true, help: "the relay's folder", offers: "folders" },
    {
      name: "relay",
      value: "F",
      many: true,
      needed: true,
      help: "the founding files of all relays that the roster names",
      offers: "files",
    },
  ],
  examples: [
    {
      line: "chappe roster install first.roster --dir hub1 --relay hub1/founding.json --relay hub2/founding.json",
      says: "on each relay's machine",
    },
  ],
  async run(input, world) {
    const { statement, id, roster } = await readRosterFile(input.argument("FILE"))
    const relays = await Promise.all(input.texts("relay").map(readFounding))
    const trust: TrustFile = {
      anchor: { custodians: roster.custodians, number: roster.number, rosterId: id },
      relays: relays.map(({ trusted }) => trusted),
      auditor: undefined,
    }
    const statements = [
      { kind: "roster" as const, statement },
      ...Object.values(firstPolicies()).map((policy) => ({
        kind: "policy" as const,
        statement: policy,
      })),
      ...relays.flatMap((relay) =>
        relay.statements.map((item) => ({ kind: "chain" as const, statement: item })),
      ),
    ]
    new Directory(crypto, trust.anchor).applyInOrder(statements)
    const dir = input.needed("dir")
    await writeNew(join(dir, "trust.json"), formatTrustFile(trust))
    await writeNew(join(dir, "directory.chappe"), encodeDirectoryBundle({ version: 1, statements }))
    world.output.result(
      { dir, roster: roster.number },
      `${dir} is ready: chappe relay start --dir ${dir}`,
    )
    return undefined
  },
}

function publicKeyOf(text: string, what: string): Uint8Array {
  const hex = text.replaceAll(/\s/gu, "").toLowerCase()
  if (!/^[0-9a-f]{64}$/u.test(hex)) throw new ChappeError("usage", `${what}: not 64 hex digits`)
  const key = fromHex(hex)
  if (!crypto.admit(key)) throw new ChappeError("key-form", `${what}: not a safe public key`)
  return key
}
