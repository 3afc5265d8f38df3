// A whole network on loopback, from nothing: custodians, roster, HQ desk, members, relays, officers, auditor.
// Everything is computed and checked first, then written. For containers each process has an address of its own:
// there relays are found by their names, and all of a kind have the same ports.

import { join } from "node:path"
import { crypto } from "../../keys/crypto.ts"
import { type FoundedMember, foundMember, newSigningKey } from "../../keys/founding.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { signRoster } from "../../keys/statements.ts"
import { type DirectoryBundle, encodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import type { TrustAnchor } from "../../protocol/roster.ts"
import { type TrustFile, formatTrustFile } from "../../protocol/trust-file.ts"
import { firstPolicies } from "../ceremony/first-policies.ts"
import { firstRoster } from "../ceremony/first-roster.ts"
import { firstOfficers, nodeConfigText, writeNode } from "../ceremony/node-folder.ts"
import { type RelayPlace, newRelay, writeRelay } from "../ceremony/relay-founding.ts"
import { cliLimits } from "../limits.ts"
import { requireEmptyFolder, syncFolder, writeNew } from "../private-files.ts"
import { writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import { freePorts } from "./free-ports.ts"
import { type Lab, type LabNode, formatLab, labFile } from "./lab-file.ts"

export const desk = "HQ"
const auditor = "auditor"
const loopback = "127.0.0.1"
const everywhere = "0.0.0.0"

type Places = {
  readonly relays: readonly RelayPlace[]
  readonly nodes: readonly LabNode[]
}

type PlacedNode = { readonly place: LabNode; readonly founded: FoundedMember }

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const start = by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

const nodeDir = (name: string): string => `nodes/${name}`

/** Who listens where: on free ports of this machine, or each in a container that bears its name. */
async function placesFor(
  world: World,
  plan: {
    readonly names: readonly string[]
    readonly relays: number
    readonly containers: boolean
  },
): Promise<Places> {
  const { names, containers } = plan
  const relays = Array.from({ length: plan.relays }, (_, i) => `hub${i + 1}`)
  if (containers) {
    const { linksPort, httpsPort, nodePort } = cliLimits.containerPorts
    return {
      relays: relays.map((name) => ({ name, host: name, bind: everywhere, linksPort, httpsPort })),
      nodes: names.map((name) => ({ name, dir: nodeDir(name), httpPort: nodePort })),
    }
  }
  const ports = await freePorts(2 * relays.length + names.length, world.random)
  const portAt = (index: number): number => ports[index] ?? 0
  return {
    relays: relays.map((name, i) => ({
      name,
      host: loopback,
      bind: loopback,
      linksPort: portAt(2 * i),
      httpsPort: portAt(2 * i + 1),
    })),
    nodes: names.map((name, i) => ({
      name,
      dir: nodeDir(name),
      httpPort: portAt(2 * relays.length + i),
    })),
  }
}

/** Refused: `file-exists` where `dir` holds anything; `port-taken`; `disk-full`. */
export async function foundLab(
  world: World,
  plan: {
    readonly dir: string
    readonly members: readonly string[]
    readonly relays: number
    readonly containers?: boolean
  },
): Promise<Lab> {
  const { dir } = plan
  await requireEmptyFolder(dir)
  const at = nowSeconds(world)
  const names = [desk, ...plan.members]
  const { containers = false } = plan
  const places = await placesFor(world, { names, relays: plan.relays, containers })

  const relays = places.relays.map((place) => newRelay(world, place))
  const relayNames = relays.map(({ place }) => place.name)
  const nodes = places.nodes.map((place, i): PlacedNode => {
    const { name } = place
    const homes = rotated(relayNames, i)
    const officers = firstOfficers(name === desk)
    return { place, founded: foundMember({ name, homes, officers, at, random: world.random }) }
  })
  const custodians = Array.from({ length: cliLimits.custodians }, () =>
    newSigningKey("custodian", world.random),
  )
  const auditorKey = newSigningKey("auditor", world.random)

  const threshold = cliLimits.custodianThreshold
  const roster = firstRoster({
    at,
    custodians: { threshold, keys: custodians.map(({ key }) => key.publicKey) },
    members: nodes.map(({ place, founded }) => ({
      name: place.name,
      genesisId: founded.genesisId,
    })),
    desk,
    relays: relays.map(({ place, founded }) => ({
      name: place.name,
      genesisId: founded.genesisId,
    })),
    auditors: [{ name: auditor, key: auditorKey.key.publicKey }],
  })
  const signed = signRoster(
    roster,
    custodians.slice(0, threshold).map(({ key }) => key),
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
      ...Object.values(firstPolicies()).map((statement) => ({
        kind: "policy" as const,
        statement,
      })),
      ...[...relays, ...nodes].flatMap(({ founded }) =>
        founded.statements.map((statement) => ({ kind: "chain" as const, statement })),
      ),
    ],
  }
  // What does not load as a node would load it is not written.
  new Directory(crypto, anchor).applyInOrder(bundle.statements)

  const trust: TrustFile = {
    anchor,
    relays: relays.map(({ trusted }) => trusted),
    auditor: undefined,
  }
  const directory = encodeDirectoryBundle(bundle)
  for (const relay of relays) {
    const own = join(dir, "relays", relay.place.name)
    await writeRelay(world, own, relay)
    await writeNew(join(own, "trust.json"), formatTrustFile(trust))
    await writeNew(join(own, "directory.chappe"), directory)
  }
  for (const { place, founded } of nodes) {
    const config = nodeConfigText({ name: place.name, httpPort: place.httpPort })
    await writeNode(world, join(dir, place.dir), founded, { config, trust, directory })
  }
  const offline: readonly (readonly [path: string, entries: readonly KeyEntry[]])[] = [
    ...[...relays, ...nodes].map(
      ({ place, founded }) => [`roots/${place.name}.key`, founded.root] as const,
    ),
    ...custodians.map(({ entry }, i) => [`custodians/custodian-${i + 1}.key`, [entry]] as const),
    [`auditor/${auditor}.key`, [auditorKey.entry]],
  ]
  for (const [path, entries] of offline) await writeKeysWithSecret(world, join(dir, path), entries)
  const auditorFiles = {
    name: auditor,
    keyFile: `auditor/${auditor}.key`,
    secretFile: `auditor/${auditor}.secret`,
  }
  await writeNew(join(dir, "trust.json"), formatTrustFile({ ...trust, auditor: auditorFiles }))
  const lab: Lab = {
    relays: relays.map(({ place: { name, linksPort, httpsPort } }) => ({
      name,
      dir: `relays/${name}`,
      linksPort,
      httpsPort,
    })),
    nodes: nodes.map(({ place }) => place),
    desk,
  }
  // Last of all: a folder with a lab file is whole.
  await writeNew(labFile(dir), formatLab(lab))
  await syncFolder(dir)
  return lab
}
