// A whole network on loopback, from nothing: custodians, roster, HQ desk, members, relays, officers, auditor.
// Everything is computed and checked first, then written.

import { join } from "node:path"
import { compareText, utf8 } from "../../protocol/bytes.ts"
import type { Role } from "../../protocol/capability.ts"
import { defaultDeliveryPolicy, formatDeliveryPolicy } from "../../protocol/delivery-policy.ts"
import { type DirectoryBundle, encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { limits } from "../../protocol/limits.ts"
import { type Roster, type TrustAnchor, memberStatuses } from "../../protocol/roster.ts"
import { type TrustFile, type TrustedRelay, formatTrustFile } from "../../protocol/trust-file.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import {
  type FoundedMember,
  type FoundedRelay,
  type NewOfficer,
  foundMember,
  foundRelay,
  newSigningKey,
} from "../../keys/founding.ts"
import { makeHttpsCertificate } from "../../keys/https-certificate.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { signRoster } from "../../keys/statements.ts"
import { cliLimits } from "../limits.ts"
import { makeFolder, requireEmptyFolder, syncFolder, writeNew } from "../private-files.ts"
import { writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { nodeConfigText, relayConfigText } from "./configuration.ts"
import { freePorts } from "./free-ports.ts"
import { type Lab, type LabNode, type LabRelay, formatLab, labFile } from "./lab-file.ts"

export const desk = "HQ"
const auditor = "auditor"

/** The officers that every new node has; the desk's duty officer also decides. */
export function firstOfficers(member: string): readonly NewOfficer[] {
  const duty: readonly Role[] =
    member === desk ? ["officer", "releaser", "decider"] : ["officer", "releaser"]
  return [
    { officer: "duty", roles: duty },
    { officer: "supervisor", roles: ["supervisor"] },
    { officer: "auditor", roles: ["auditor"] },
    { officer: "operator", roles: ["operator"] },
  ]
}

type PlacedRelay = {
  readonly place: LabRelay
  readonly founded: FoundedRelay
  readonly https: { readonly certPem: string; readonly keyPem: string }
  readonly trusted: TrustedRelay
}
type PlacedNode = { readonly place: LabNode; readonly founded: FoundedMember }

/** Refused: `file-exists` where `dir` holds anything. */
export async function foundLab(
  world: World,
  plan: {
    readonly dir: string
    readonly members: readonly string[]
    readonly relays: number
  },
): Promise<Lab> {
  const { dir } = plan
  await requireEmptyFolder(dir)
  const at = nowSeconds(world)
  const names = [desk, ...plan.members]
  const ports = await freePorts(2 * plan.relays + names.length, world.random)
  const portAt = (index: number): number => ports[index] ?? 0

  const relays = Array.from({ length: plan.relays }, (_, i) =>
    placeRelay(world, at, {
      name: `hub${i + 1}`,
      linksPort: portAt(2 * i),
      httpsPort: portAt(2 * i + 1),
    }),
  )
  const relayNames = relays.map(({ place }) => place.name)
  const nodes = names.map((name, i): PlacedNode => {
    const place = { name, dir: `nodes/${name}`, httpPort: portAt(2 * plan.relays + i) }
    const homes = rotated(relayNames, i)
    const officers = firstOfficers(name)
    return { place, founded: foundMember({ name, homes, officers, at, random: world.random }) }
  })
  const custodians = Array.from({ length: cliLimits.custodians }, () =>
    newSigningKey("custodian", world.random),
  )
  const auditorKey = newSigningKey("auditor", world.random)
  const policies = policyFiles()

  const roster: Roster = {
    version: 1,
    number: 1,
    at,
    expires: at + cliLimits.rosterSeconds,
    custodians: {
      threshold: cliLimits.custodianThreshold,
      keys: custodians.map(({ key }) => key.publicKey),
    },
    members: nodes
      .map(({ place: { name }, founded: { genesisId } }) => ({
        node: name,
        status: memberStatuses.active,
        genesisId,
        flags: name === desk ? (["desk"] as const) : [],
      }))
      .toSorted((a, b) => compareText(a.node, b.node)),
    relays: relays
      .map(({ place: { name }, founded: { genesisId } }) => ({
        name,
        status: memberStatuses.active,
        genesisId,
      }))
      .toSorted((a, b) => compareText(a.name, b.name)),
    auditors: [{ name: auditor, key: auditorKey.key.publicKey }],
    policy: {
      minSuite: 1,
      suites: [],
      maxLifetime: limits.lifetimeSecondsMax,
      witnessPolicy: sha256(policies.witness),
      retentionPolicy: sha256(policies.retention),
      deliveryPolicy: sha256(policies.delivery),
    },
  }
  const signed = signRoster(
    roster,
    custodians.slice(0, cliLimits.custodianThreshold).map(({ key }) => key),
  )
  const anchor: TrustAnchor = {
    custodians: roster.custodians,
    number: roster.number,
    rosterId: signed.id,
  }
  const bundle: DirectoryBundle = {
    version: 1,
    statements: [
      { kind: "roster", statement: signed.statement },
      ...Object.values(policies).map((statement) => ({ kind: "policy" as const, statement })),
      ...[...relays, ...nodes].flatMap(({ founded }) =>
        founded.statements.map((statement) => ({ kind: "chain" as const, statement })),
      ),
    ],
  }
  requireSound(anchor, bundle)

  const trust: TrustFile = {
    anchor,
    relays: relays.map(({ trusted }) => trusted),
    auditor: undefined,
  }
  const directory = encodeDirectoryBundle(bundle)
  for (const relay of relays) await writeRelay(world, dir, relay, trust, directory)
  for (const node of nodes) {
    await writeNode(world, join(dir, node.place.dir), node.founded, {
      config: nodeConfigText({ name: node.place.name, httpPort: node.place.httpPort }),
      trust,
      directory,
    })
  }
  const roots: readonly (readonly [string, readonly KeyEntry[]])[] = [
    ...[...relays, ...nodes].map(
      ({ place, founded }) => [`roots/${place.name}.key`, founded.root] as const,
    ),
    ...custodians.map(({ entry }, i) => [`custodians/custodian-${i + 1}.key`, [entry]] as const),
    [`auditor/${auditor}.key`, [auditorKey.entry]],
  ]
  for (const [path, entries] of roots) await writeKeysWithSecret(world, join(dir, path), entries)
  const auditorFiles = {
    name: auditor,
    keyFile: `auditor/${auditor}.key`,
    secretFile: `auditor/${auditor}.secret`,
  }
  await writeNew(join(dir, "trust.json"), formatTrustFile({ ...trust, auditor: auditorFiles }))
  const lab: Lab = {
    relays: relays.map(({ place }) => place),
    nodes: nodes.map(({ place }) => place),
    desk,
  }
  // Last of all: a folder with a lab file is whole.
  await writeNew(labFile(dir), formatLab(lab))
  await syncFolder(dir)
  return lab
}

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

function policyFiles() {
  const retention = { type: "chappe/retention-policy/v1", trafficBundleYears: 10 }
  return {
    witness: utf8("quorum none\n"),
    retention: utf8(`${JSON.stringify(retention)}\n`),
    delivery: formatDeliveryPolicy(defaultDeliveryPolicy),
  }
}

function placeRelay(
  world: World,
  at: number,
  { name, linksPort, httpsPort }: Omit<LabRelay, "dir">,
): PlacedRelay {
  const url = `https://127.0.0.1:${httpsPort}`
  const founded = foundRelay({
    name,
    links: [`wss://127.0.0.1:${linksPort}`],
    https: [url],
    logYear: new Date(at * 1000).getUTCFullYear(),
    at,
    random: world.random,
  })
  const https = makeHttpsCertificate({
    name,
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1", "::1"],
    serial: world.random(16),
    notBefore: at - limits.clockSkewSecondsMax,
    notAfter: at + cliLimits.rosterSeconds,
  })
  const place = { name, dir: `relays/${name}`, linksPort, httpsPort }
  return { place, founded, https, trusted: { name, url, certificate: https.certPem } }
}

/** Takes everything in as a node would: what does not load is not written. */
function requireSound(anchor: TrustAnchor, bundle: DirectoryBundle): void {
  const directory = new Directory(crypto, anchor)
  for (const { kind, statement } of bundle.statements) directory.apply(kind, statement)
}

async function writeRelay(
  world: World,
  dir: string,
  relay: PlacedRelay,
  trust: TrustFile,
  directory: Uint8Array,
): Promise<void> {
  const own = join(dir, relay.place.dir)
  await writeNew(join(own, "relay.toml"), relayConfigText(relay.place))
  await writeNew(join(own, "trust.json"), formatTrustFile(trust))
  await writeNew(join(own, "directory.chappe"), directory)
  await writeNew(join(own, "keys/https.pem"), relay.https.certPem)
  await writeNew(join(own, "keys/https-key.pem"), relay.https.keyPem)
  await writeKeysWithSecret(world, join(own, "keys/relay.key"), relay.founded.relay)
  for (const folder of ["data", "log", "joins", "tokens", "run"])
    await makeFolder(join(own, folder))
  await syncFolder(own)
}

/** A node's folder; `chappe join` writes the same. */
export async function writeNode(
  world: World,
  dir: string,
  founded: FoundedMember,
  files: {
    readonly config: string
    readonly trust: TrustFile
    readonly directory: Uint8Array
  },
): Promise<void> {
  await writeNew(join(dir, "node.toml"), files.config)
  await writeNew(join(dir, "trust.json"), formatTrustFile(files.trust))
  await writeNew(join(dir, "directory.chappe"), files.directory)
  await writeKeysWithSecret(world, join(dir, "keys/node.key"), founded.node)
  await writeKeysWithSecret(world, join(dir, "keys/standby.key"), founded.standby)
  await writeKeysWithSecret(world, join(dir, "keys/prekeys.key"), founded.prekeys)
  for (const { officer, entries } of founded.officers)
    await writeKeysWithSecret(world, join(dir, `officers/${officer}.key`), entries)
  for (const folder of ["data", "run"]) await makeFolder(join(dir, folder))
  await syncFolder(dir)
}
