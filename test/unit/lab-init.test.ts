import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { X509Certificate } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { rosterOf } from "../../cli/ceremony/roster-file.ts"
import { draftRoster } from "../../cli/ceremony/roster-draft.ts"
import { labInit } from "../../cli/commands/lab-init.ts"
import { parseInvocation } from "../../cli/invocation.ts"
import { foundLab } from "../../cli/lab/found-lab.ts"
import { type Lab, readLab } from "../../cli/lab/lab-file.ts"
import { Output } from "../../cli/output.ts"
import type { World } from "../../cli/world.ts"
import { systemRandom } from "../../cli/adapters/system-random.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { type KeyEntry, openKeyFile } from "../../keys/key-file.ts"
import { newPrekeyPeriod, publicKeysOf } from "../../keys/prekey-period.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { addSignatures, signRoster } from "../../keys/statements.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import { parseDeliveryPolicy } from "../../protocol/delivery-policy.ts"
import { decodeDirectoryBundle } from "../../protocol/directory-bundle.ts"
import { Directory } from "../../protocol/directory.ts"
import { keyId, typedKeyHash } from "../../protocol/key-id.ts"
import { limits } from "../../protocol/limits.ts"
import { parseTrustFile } from "../../protocol/trust-file.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { readNodeConfig } from "../../node/config.ts"
import { readRelayConfig } from "../../relay/config.ts"
import { codeOf } from "../kit/refusal.ts"

const at = 1_800_000_000
const silent = { write: () => true }
const world: World = {
  output: new Output({ json: true, colour: false, stdout: silent, stderr: silent }),
  nowMs: () => at * 1000,
  random: systemRandom,
  environment: {
    notifySocket: undefined,
    noColour: true,
    program: [],
    workingDirectory: "/",
  },
  stdin: process.stdin,
}

let base = ""
let dir = ""
let lab: Lab

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "chappe-lab-"))
  dir = join(base, "lab")
  lab = await foundLab(world, { dir, members: ["FR", "JP"], relays: 2 })
})

afterAll(async () => {
  await rm(base, { recursive: true, force: true })
})

async function entriesOf(path: string): Promise<readonly KeyEntry[]> {
  const file = Uint8Array.from(await readFile(join(dir, path)))
  const secret = Uint8Array.from(await readFile(join(dir, path.replace(/\.key$/u, ".secret"))))
  return openKeyFile(file, { kind: "secret", secret })
}

async function directoryOf(own: string): Promise<Directory> {
  const trust = parseTrustFile(await readFile(join(dir, own, "trust.json"), "utf8"))
  const bundle = decodeDirectoryBundle(
    Uint8Array.from(await readFile(join(dir, own, "directory.chappe"))),
  )
  const directory = new Directory(crypto, trust.anchor)
  for (const { kind, statement } of bundle.statements) directory.apply(kind, statement)
  return directory
}

const places = (): readonly string[] => [...lab.relays, ...lab.nodes].map((item) => item.dir)

describe("what lab init writes", () => {
  test("loads at every node and relay, with the desk and the members asked for", async () => {
    for (const own of places()) {
      const directory = await directoryOf(own)
      expect(directory.activeMembers().map(({ node }) => node)).toEqual(["FR", "HQ", "JP"])
      expect(directory.desks()).toEqual(["HQ"])
      expect(directory.activeRelays()).toEqual(["hub1", "hub2"])
      const policy = directory.policyFile("deliveryPolicy")
      expect(policy && parseDeliveryPolicy(policy).deadlineSeconds.flash).toBe(60)
    }
  })

  test("alternates the homes, so that no relay has them all first", async () => {
    const directory = await directoryOf("nodes/FR")
    expect(directory.homes("HQ")).toEqual(["hub1", "hub2"])
    expect(directory.homes("FR")).toEqual(["hub2", "hub1"])
    expect(directory.homes("JP")).toEqual(["hub1", "hub2"])
  })

  test("gives each node the keys that its chain names", async () => {
    for (const { name, dir: own } of lab.nodes) {
      const directory = await directoryOf(own)
      const entries = await entriesOf(`${own}/keys/node.key`)
      expect(entries.map(({ use }) => use)).toEqual(["node", "link", "witness", "hedge", "data"])
      const [node, link, witness] = entries
      const station = directory.station(name)
      const id = keyId(sha256, "node", node!.publicKey)
      expect(directory.stationKeyAt(name, id, "now", at).kind).toBe("valid")
      expect(directory.linkKeys(name, at).map(toHex)).toEqual([toHex(link!.publicKey)])
      const named = parseVerifierKey(crypto, station!.witnesses[0]!.vkey)
      expect(equalBytes(named.publicKey, witness!.publicKey)).toBe(true)
      const [standby] = await entriesOf(`${own}/keys/standby.key`)
      expect(toHex(station!.keys[1]!.key)).toBe(toHex(standby!.publicKey))
      expect(station!.keys[1]!.incarnation).toBe(2)
    }
  })

  test("publishes prekeys for eight weeks, from the seeds that it hands over", async () => {
    const directory = await directoryOf("nodes/FR")
    const today = Math.floor(at / limits.secondsPerDay)
    const handed = await entriesOf("nodes/FR/keys/prekeys.key")
    expect(handed).toHaveLength(2)
    handed.forEach(({ secret, publicKey }, i) => {
      const keys = publicKeysOf(newPrekeyPeriod(today + i * limits.prekeyPeriodDays, secret))
      expect(equalBytes(keys[0]!, publicKey)).toBe(true)
      const last = keys.at(-1)!
      const day = today + (i + 1) * limits.prekeyPeriodDays - 1
      expect(directory.prekeyFor("FR", day)).toEqual({
        hash: typedKeyHash(sha256, "prekey", last),
        day,
        exact: true,
      })
    })
  })

  test("enrols the officers, the desk's with the right to decide", async () => {
    for (const { name, dir: own } of lab.nodes) {
      const directory = await directoryOf(own)
      for (const officer of ["duty", "supervisor", "auditor", "operator"]) {
        const [entry] = await entriesOf(`${own}/officers/${officer}.key`)
        const id = keyId(sha256, "officer", entry!.publicKey)
        const key = directory.requireOfficer(name, `${name}/${officer}`, id, "now", at)
        const decides = name === "HQ" && officer === "duty"
        expect(key.capabilities.includes("desk/decide")).toBe(decides)
      }
    }
  })

  test("gives each relay staggered keys for a year, and the keys of its two logs", async () => {
    for (const { name, dir: own } of lab.relays) {
      const directory = await directoryOf(own)
      const entries = await entriesOf(`${own}/keys/relay.key`)
      const relayKeys = entries.filter(({ use }) => use === "relay")
      for (let day = 0; day <= 365; day++) {
        const then = at + day * limits.secondsPerDay
        const valid = relayKeys.filter(
          ({ publicKey }) =>
            directory.stationKeyAt(name, keyId(sha256, "relay", publicKey), "now", then).kind ===
            "valid",
        )
        expect(valid.length).toBeGreaterThan(0)
        expect(directory.linkKeys(name, then).length).toBeGreaterThan(0)
      }
      const held = entries.map(({ publicKey }) => toHex(publicKey))
      for (const sort of ["directory", "traffic"] as const) {
        const log = directory.currentLog(name, sort)
        expect(held).toContain(toHex(parseVerifierKey(crypto, log!.logVkey).publicKey))
        expect(held).toContain(toHex(parseVerifierKey(crypto, log!.promiseVkey).publicKey))
      }
      expect(directory.currentLog(name, "traffic")?.origin).toBe(`${name}/traffic/2027`)
      expect(directory.urls(name)?.links[0]).toMatch(/^wss:\/\/127\.0\.0\.1:\d+$/u)
    }
  })

  test("gives each relay a certificate of its own for 127.0.0.1", async () => {
    const pem = await readFile(join(dir, "relays/hub1/keys/https.pem"), "utf8")
    const certificate = new X509Certificate(pem)
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1")
    expect(certificate.checkHost("localhost")).toBe("localhost")
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    const trust = parseTrustFile(await readFile(join(dir, "trust.json"), "utf8"))
    expect(trust.relays[0]?.certificate).toBe(pem)
    expect(trust.auditor?.name).toBe("auditor")
  })

  test("is for its user alone", async () => {
    const items = await readdir(dir, { recursive: true, withFileTypes: true })
    for (const item of items) {
      const { mode } = await stat(join(item.parentPath, item.name))
      expect((mode & 0o777).toString(8)).toBe(item.isDirectory() ? "700" : "600")
    }
  })

  test("reads back as a lab, with distinct ports", async () => {
    expect(await readLab(dir)).toEqual(lab)
    const ports = [
      ...lab.relays.flatMap(({ linksPort, httpsPort }) => [linksPort, httpsPort]),
      ...lab.nodes.map(({ httpPort }) => httpPort),
    ]
    expect(new Set(ports).size).toBe(7)
  })
})

describe("a lab for containers", () => {
  let own = ""
  let containers: Lab
  beforeAll(async () => {
    own = join(base, "containers")
    const plan = { dir: own, members: ["FR"], relays: 2, containers: true }
    containers = await foundLab(world, plan)
  })

  test("has its relays by their names, listening for everybody, on the ports of docker-compose.yml", async () => {
    const trust = parseTrustFile(await readFile(join(own, "trust.json"), "utf8"))
    expect(trust.relays.map(({ url }) => url)).toEqual(["https://hub1:8443", "https://hub2:8443"])
    const directory = await directoryOf("../containers/nodes/FR")
    expect(directory.urls("hub1")).toEqual({
      links: ["wss://hub1:7443"],
      https: ["https://hub1:8443"],
    })
    for (const { dir: place } of containers.relays) {
      const { links, https } = await readRelayConfig(join(own, place))
      expect(links).toEqual({ host: "0.0.0.0", port: 7_443 })
      expect(https).toMatchObject({ host: "0.0.0.0", port: 8_443 })
    }
  })

  test("gives a relay's certificate its name, and those for its own health check", async () => {
    const pem = await readFile(join(own, "relays/hub1/keys/https.pem"), "utf8")
    const certificate = new X509Certificate(pem)
    expect(certificate.checkHost("hub1")).toBe("hub1")
    expect(certificate.checkHost("localhost")).toBe("localhost")
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1")
    expect(certificate.checkHost("hub2")).toBeUndefined()
  })

  test("keeps its nodes on loopback", async () => {
    for (const { dir: place } of containers.nodes) {
      const { http } = await readNodeConfig(join(own, place))
      expect(http).toEqual({ host: "127.0.0.1", port: 7_440 })
    }
  })
})

const init = async (...words: readonly string[]): Promise<unknown> =>
  labInit.run(parseInvocation(labInit, ["--members", "FR", "--relays", "1", ...words]), world)

test("with --if-missing a lab that is there stays as it is, and anything else is still refused", async () => {
  const once = join(base, "once")
  await init("--dir", once, "--if-missing")
  const before = await readFile(join(once, "trust.json"))
  expect(await init("--dir", once, "--if-missing")).toBeUndefined()
  expect(await readFile(join(once, "trust.json"))).toEqual(before)
  await expect(init("--dir", once)).rejects.toMatchObject({ code: "file-exists" })
  await rm(join(once, "lab.json"))
  await expect(init("--dir", once, "--if-missing")).rejects.toMatchObject({ code: "file-exists" })
})

test("a folder that holds anything is left alone", async () => {
  const full = join(base, "full")
  await foundLab(world, { dir: full, members: [], relays: 1 })
  const before = await readFile(join(full, "lab.json"))
  await expect(foundLab(world, { dir: full, members: [], relays: 1 })).rejects.toMatchObject({
    code: "file-exists",
  })
  expect(await readFile(join(full, "lab.json"))).toEqual(before)
})

test("a lab file that was cut is refused", async () => {
  const cut = join(base, "cut")
  await foundLab(world, { dir: cut, members: [], relays: 1 })
  await writeFile(join(cut, "lab.json"), '{"type":"chappe/lab/v1","relays":[{}]')
  await expect(readLab(cut)).rejects.toMatchObject({ code: "config" })
})

async function custodian(number: number): Promise<SigningKey> {
  const [entry] = await entriesOf(`custodians/custodian-${number}.key`)
  return signingKey("custodian", entry!.secret)
}

describe("the custodians' ceremony", () => {
  const newcomer = {
    kind: "add-member",
    name: "KE",
    genesisId: new Uint8Array(32).fill(7),
  } as const

  test("collects signatures one by one until a roster counts", async () => {
    const directory = await directoryOf("nodes/FR")
    const next = draftRoster(directory.roster(), at + 60, { ...newcomer, flags: [] })
    const draft = signRoster(next, [])
    expect(rosterOf(draft.statement).signers).toBe(0)
    const first = addSignatures("roster", draft.statement, [await custodian(3)])
    expect(rosterOf(first.statement).signers).toBe(1)
    expect(codeOf(() => directory.apply("roster", first.statement))).toBe("roster")
    // The same custodian again changes nothing.
    const again = addSignatures("roster", first.statement, [await custodian(3)])
    expect(rosterOf(again.statement).signers).toBe(1)
    const second = addSignatures("roster", first.statement, [await custodian(1)])
    expect(directory.apply("roster", second.statement).kind).toBe("applied")
    expect(directory.isActiveMember("KE")).toBe(true)
  })

  test("drafts keep the names sorted and the number rising, and never replace a genesis", async () => {
    const roster = (await directoryOf("nodes/FR")).roster()
    const next = draftRoster(roster, at + 60, { ...newcomer, flags: ["partner"] })
    expect(next.number).toBe(2)
    expect(next.members.map(({ node }) => node)).toEqual(["FR", "HQ", "JP", "KE"])
    expect(codeOf(() => draftRoster(roster, at, { ...newcomer, name: "FR", flags: [] }))).toBe(
      "file-exists",
    )
    const suspended = draftRoster(roster, at, { kind: "status", name: "JP", status: "suspended" })
    expect(suspended.members.find(({ node }) => node === "JP")?.status).toBe(1)
    const unknown = { kind: "status", name: "XX", status: "removed" } as const
    expect(codeOf(() => draftRoster(roster, at, unknown))).toBe("unknown-member")
  })
})
