// The auditor's tool from paths to verdicts: a copied directory, a real relay's URL, state and fork files.

import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { readState, writeState } from "../../audit/adapters/audit-files.ts"
import { type AuditEvent, eventText } from "../../audit/audit-report.ts"
import { formatAuditState, parseAuditState } from "../../audit/audit-state.ts"
import {
  type AuditOutcome,
  type SourceToVerify,
  verifyEvidenceFile,
  verifySource,
} from "../../audit/compose.ts"
import { sealKeyFile } from "../../keys/key-file.ts"
import { crypto, sha256 } from "../../keys/crypto.ts"
import {
  auditorMessage,
  formatAuditorAuthorization,
  parseAuditorAuthorization,
} from "../../protocol/auditor-authorization.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { checkFork, parseForkFile } from "../../protocol/fork-file.ts"
import { formatTrustFile } from "../../protocol/trust-file.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { openAuditorHeader } from "../../relay/core/auditor-access.ts"
import { type RunningRelay, startRelay } from "../../relay/start.ts"
import { AuditedRelay } from "../kit/audited-relay.ts"
import { countingRandom } from "../kit/counting-random.ts"
import { writeRelayDir } from "../kit/relay-dir.ts"
import { codeOf } from "../kit/refusal.ts"
import { TestNode } from "../kit/test-node.ts"
import { World } from "../kit/world.ts"

const at = 1_800_000_000
const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
})

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "chappe-audit-"))
  ends.push(async () => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A trust file with its auditor's key; `relay` as it is started. */
async function writeTrust(
  world: World,
  dir: string,
  relays: readonly {
    readonly name: string
    readonly url: string
    readonly certificate: string
  }[] = [],
): Promise<string> {
  const secret = new Uint8Array(32).fill(5)
  const { publicKey, seed } = world.auditor
  const entries = [{ use: "auditor" as const, publicKey, secret: seed }]
  const random = countingRandom("auditor")
  const file = await sealKeyFile({ entries, unlock: { kind: "secret", secret }, random })
  await mkdir(join(dir, "auditor"))
  await writeFile(join(dir, "auditor/auditor.key"), file)
  await writeFile(join(dir, "auditor/auditor.secret"), secret)
  const auditor = {
    name: "auditor",
    keyFile: "auditor/auditor.key",
    secretFile: "auditor/auditor.secret",
  }
  const path = join(dir, "trust.json")
  await writeFile(path, formatTrustFile({ anchor: world.anchor, relays, auditor }))
  return path
}

const now = (): number => Math.floor(Date.now() / 1_000)

type Run = AuditOutcome & { readonly events: readonly AuditEvent[] }

async function run(request: Omit<SourceToVerify, "clock" | "onEvent">): Promise<Run> {
  const events: AuditEvent[] = []
  const outcome = await verifySource({
    ...request,
    clock: now,
    onEvent: (event) => events.push(event),
  })
  return { ...outcome, events }
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  return error instanceof ChappeError ? error.code : String(error)
}

async function copied(
  rounds = 50,
): Promise<{ relay: AuditedRelay; dir: string; trustFile: string }> {
  const world = new World({ at })
  const relay = new AuditedRelay(world)
  relay.traffics(rounds)
  relay.publish()
  const dir = await folder()
  await relay.writeTo(join(dir, "log"))
  return { relay, dir, trustFile: await writeTrust(world, dir) }
}

describe("a copied directory", () => {
  it("is verified, with progress, one record a log, and a verdict", async () => {
    const { dir, trustFile } = await copied()
    const { exit, events, verdict } = await run({ source: join(dir, "log"), trustFile })
    expect(exit).toBe(0)
    expect(new Set(events.map(({ event }) => event))).toEqual(
      new Set(["progress", "log", "verdict"]),
    )
    expect(events.at(-1)).toEqual({ event: "verdict", ...verdict })
    expect(verdict).toMatchObject({
      ok: true,
      relay: "hub1",
      quorum: "none",
      live: false,
      state: null,
    })
    for (const event of events) expect(JSON.stringify(event)).not.toContain("\n")
    const text = events.map(eventText).join("\n")
    expect(text).toContain("All good: hub1's logs are what they say, under roster 1.")
    expect(text).toContain("quorum: none is asked for by this roster")
    expect(text).toContain("the age of its checkpoints is reported and not judged")
  })

  it("leaves a state that the next audit goes on from", async () => {
    const { relay, dir, trustFile } = await copied()
    const source = join(dir, "log")
    const stateFile = join(dir, "state.json")
    const first = await run({ source, trustFile, stateFile })
    expect(first.verdict.state).toBe(stateFile)
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600)
    relay.traffics(1)
    relay.publish()
    await relay.writeTo(source)
    const second = await run({ source, trustFile, stateFile })
    expect(
      second.events.find((e) => e.event === "log" && e.origin === relay.traffic.origin),
    ).toMatchObject({
      entries: 6,
      consistentSince: 301,
    })
    expect(await readdir(dir)).toEqual(["auditor", "log", "state.json", "trust.json"])
  })

  it("that was changed ends with 3, the finding, and the state as it was", async () => {
    const { dir, trustFile } = await copied()
    const source = join(dir, "log")
    const stateFile = join(dir, "state.json")
    await run({ source, trustFile, stateFile })
    const before = await readFile(stateFile)
    const tile = join(source, "traffic/2027/tile/entries/001.p/45")
    const bytes = await readFile(tile)
    bytes[100] = (bytes[100] ?? 0) ^ 1
    await writeFile(tile, bytes)
    const { exit, verdict, events } = await run({ source, trustFile, stateFile })
    expect([exit, verdict.codes]).toEqual([3, ["log-file"]])
    expect(events.map(eventText).join("\n")).toContain("FOUND in hub1/traffic/2027")
    expect(await readFile(stateFile)).toEqual(before)
    expect(events.at(-1)?.event).toBe("verdict")
  })

  it("that was forked leaves a fork file beside the state, and keeps earlier ones", async () => {
    const { relay, dir, trustFile } = await copied(3)
    const source = join(dir, "log")
    const stateFile = join(dir, "state.json")
    await run({ source, trustFile, stateFile })
    const other = new AuditedRelay(relay.world)
    other.sign([{}])
    other.traffics(4)
    other.publish()
    await rm(source, { recursive: true })
    await other.writeTo(source)
    const { exit, verdict } = await run({ source, trustFile, stateFile })
    expect([exit, verdict.codes, verdict.fork]).toEqual([3, ["log-fork"], join(dir, "fork.chappe")])
    const key = parseVerifierKey(crypto, relay.relay.trafficLog.log.vkey)
    const file = parseForkFile(Uint8Array.from(await readFile(join(dir, "fork.chappe"))))
    expect(checkFork(crypto, file, key).large.size).toBe(other.traffic.size)
    const again = await run({ source, trustFile, stateFile })
    expect(again.verdict.fork).toBe(join(dir, "fork-2.chappe"))
  })

  it("is asked for in the right form, or nothing is done", async () => {
    const { dir, trustFile } = await copied(1)
    const source = join(dir, "log")
    expect(await refusal(run({ source: join(dir, "nowhere"), trustFile }))).toBe("usage")
    expect(await refusal(run({ source: "https://[", trustFile }))).toBe("usage")
    expect(await refusal(run({ source: "http://127.0.0.1:1", trustFile }))).toBe("usage")
    expect(await refusal(run({ source, trustFile: join(dir, "none") }))).toBe("file-unreadable")
    expect(await refusal(run({ source, trustFile: join(dir, "log") }))).toBe("file-unreadable")
    await writeFile(join(dir, "bad.json"), "{}")
    expect(await refusal(run({ source, trustFile: join(dir, "bad.json") }))).toBe("config")
    expect(await refusal(run({ source, trustFile, stateFile: join(dir, "bad.json") }))).toBe(
      "config",
    )
  })

  it("cannot be verified at a URL where nobody answers: exit 1", async () => {
    const { trustFile } = await copied(1)
    const { exit, verdict } = await run({ source: "https://127.0.0.1:1", trustFile })
    expect([exit, verdict.verdict, verdict.doubts[0]?.code]).toEqual([
      1,
      "unverified",
      "unverified",
    ])
  })
})

describe("the state file", () => {
  it("is the same after a round trip", async () => {
    const { dir, trustFile } = await copied()
    const stateFile = join(dir, "state.json")
    await run({ source: join(dir, "log"), trustFile, stateFile })
    const state = await readState(stateFile)
    expect(formatAuditState(state)).toBe(await readFile(stateFile, "utf8"))
    expect([...state.keys()]).toEqual(["hub1/directory", "hub1/traffic/2027"])
  })

  it("is replaced whole: what cannot be written leaves the old one", async () => {
    const { dir, trustFile } = await copied(1)
    const stateFile = join(dir, "state.json")
    await run({ source: join(dir, "log"), trustFile, stateFile })
    const before = await readFile(stateFile)
    await mkdir(`${stateFile}.new`)
    expect(await refusal(writeState(stateFile, new Map()))).toBe("storage")
    expect(await readFile(stateFile)).toEqual(before)
  })

  it("is refused when anything in it does not fit", async () => {
    const { dir, trustFile } = await copied(2)
    const stateFile = join(dir, "state.json")
    await run({ source: join(dir, "log"), trustFile, stateFile })
    const text = await readFile(stateFile, "utf8")
    const broken = [
      text.slice(1),
      text.replace('"version": 1', '"version": 2'),
      text.replace(/"size": \d+/u, '"size": 3'),
      text.replace(/"root": "./u, '"root": "!'),
      text.replace(/"root": "..../u, '"root": "AAAA'),
      text.replace(/("range": \[\s*")..../u, "$1AAAA"),
      text.replace(/"lastTime": /u, '"lastTime": -'),
      text.replace(/"origin": "hub1\/directory"/u, '"origin": "hub2/directory"'),
      text.replace(/"origin": "hub1\/traffic\/2027"/u, '"origin": "hub1/directory"'),
      text.replace(/"note": "hub1/u, '"note": "hub2'),
      text.replace(/"boundSize": \d+/u, '"boundSize": "1"'),
      text.replace(/(?<="[0-9a-f]{32}": \[\s*\d+,\s*)\[\]/u, "[[1, 5]]"),
      "[]",
      "",
    ]
    for (const bad of broken) {
      expect(bad).not.toBe(text)
      expect(codeOf(() => parseAuditState(sha256, bad))).toBe("config")
    }
    await writeFile(stateFile, broken[2] ?? "")
    expect(await refusal(readState(stateFile))).toBe("config")
  })
})

describe("an auditor's authorization", () => {
  const request = { method: "GET", path: "/directory/checkpoint", time: at }
  const world = new World({ at })
  const header = formatAuditorAuthorization({
    name: "auditor",
    time: at,
    signature: world.auditor.sign(auditorMessage(request)),
  })

  it("is read back, and a relay takes it", () => {
    expect(parseAuditorAuthorization(header)).toMatchObject({ name: "auditor", time: at })
    const { method, path } = request
    const asked = { authorization: header, method, path }
    expect(openAuditorHeader(world.directory(), at + 200, asked)).toBe("auditor")
    for (const other of [{ path: "/traffic/2027/checkpoint" }, { method: "POST" }])
      expect(() => openAuditorHeader(world.directory(), at, { ...asked, ...other })).toThrow(
        ChappeError,
      )
    expect(() => openAuditorHeader(world.directory(), at + 301, asked)).toThrow(ChappeError)
  })

  it("has one form only", () => {
    for (const bad of [
      "",
      header.replace("Chappe-Auditor", "Bearer"),
      header.replace("name=auditor", "name=AUDITOR"),
      header.replace("name=", "name= "),
      header.replace(/time=\d+/u, "time=01"),
      header.slice(0, -4),
      `${header},more=1`,
      header.replace(/signature=./u, "signature=-"),
    ])
      expect(codeOf(() => parseAuditorAuthorization(bad))).toBe("unauthenticated")
  })
})

async function exchange(world: World, relay: RunningRelay, messages: number): Promise<void> {
  const [fr, jp] = ["FR", "JP"].map((name) => new TestNode(world, name))
  if (fr === undefined || jp === undefined) throw new Error("two nodes")
  for (const node of [fr, jp]) {
    ends.push(() => node.close())
    await node.connect(relay.name, relay.linksPort)
  }
  for (let i = 0; i < messages; i++) {
    const submission = fr.seal("hub1", { to: ["JP"], lane: 3 })
    await fr.submit("hub1", submission)
    await jp.delivery()
    const { messageId } = submission.sealed
    await jp.link("hub1").request(5, jp.receipts("hub1", [{ messageId, to: "FR" }]))
  }
}

async function startedRelay(): Promise<{
  readonly world: World
  readonly relay: RunningRelay
  readonly dir: string
  readonly trustFile: string
  readonly log: string
}> {
  const world = new World({ at: now(), relays: ["hub1"] })
  const dir = await folder()
  const relayDir = join(dir, "hub1")
  await writeRelayDir(world, "hub1", relayDir)
  const relay = await startRelay({ dir: relayDir })
  ends.push(async () => relay.stop())
  const certificate = await readFile(join(relayDir, "keys/https.pem"), "utf8")
  const trustFile = await writeTrust(world, dir, [{ name: "hub1", url: relay.url, certificate }])
  return { world, relay, dir, trustFile, log: join(relayDir, "log") }
}

describe("a real relay", () => {
  it("passes at its URL, by its name, and as the folder it writes, and goes on from each state", async () => {
    const { world, relay, dir, trustFile, log } = await startedRelay()
    await exchange(world, relay, 1)
    const stateFile = join(dir, "state.json")
    const first = await run({ source: relay.url, trustFile, stateFile, sample: 256 })
    expect(first.events.filter(({ event }) => event === "finding")).toEqual([])
    expect(first).toMatchObject({ exit: 0, verdict: { ok: true, live: true, relay: "hub1" } })
    const byName = await run({ source: "hub1", trustFile, stateFile })
    expect(byName).toMatchObject({ exit: 0, verdict: { live: true } })
    const inPlace = await run({ source: log, trustFile, stateFile })
    expect(inPlace).toMatchObject({ exit: 0, verdict: { live: false } })
    await cp(log, join(dir, "copy"), { recursive: true })
    expect((await run({ source: join(dir, "copy"), trustFile })).exit).toBe(0)
  })

  it("is not believed with another certificate than the trust file's", async () => {
    const { world, relay, dir } = await startedRelay()
    const other = join(dir, "other")
    await writeRelayDir(world, "hub1", other)
    const certificate = await readFile(join(other, "keys/https.pem"), "utf8")
    await mkdir(join(dir, "second"))
    const relays = [{ name: "hub1", url: relay.url, certificate }]
    const trustFile = await writeTrust(world, join(dir, "second"), relays)
    const own = await readFile(join(dir, "hub1/keys/https.pem"), "utf8")
    expect(certificate).not.toBe(own)
    expect(await run({ source: relay.url, trustFile })).toMatchObject({ exit: 1 })
  })
})

describe("an evidence file", () => {
  it("that is missing is refused, one that is no evidence proves nothing", async () => {
    const { dir, trustFile } = await copied(1)
    expect(await refusal(verifyEvidenceFile({ file: join(dir, "none"), trustFile }))).toBe(
      "file-unreadable",
    )
    expect(await refusal(verifyEvidenceFile({ file: dir, trustFile }))).toBe("file-unreadable")
    const file = join(dir, "evidence.json")
    await writeFile(file, "{}")
    expect(await verifyEvidenceFile({ file, trustFile })).toMatchObject({
      exit: 3,
      verdict: { ok: false, fault: "not-canonical" },
    })
  })
})
