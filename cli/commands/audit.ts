// What auditors run: a relay's logs, an evidence file, and the conformance of our own verifiers.

import { existsSync } from "node:fs"
import { createInterface } from "node:readline"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { fromHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { parseEvidenceFile } from "../../protocol/evidence-file.ts"
import { limits } from "../../protocol/limits.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import type { AuditReport, AuditedLog } from "../../audit/relay-audit.ts"
import type { AuditState } from "../../audit/audit-state.ts"
import type { Finding } from "../../audit/finding.ts"
import type { LogSource } from "../../audit/log-source.ts"
import type { Command } from "../command.ts"
import { formatTime } from "../duration.ts"
import { isJsonObject, parseJson } from "../json.ts"
import type { Invocation } from "../invocation.ts"
import { cliLimits } from "../limits.ts"
import { asOfficer, nodeOptions } from "../node-client.ts"
import { type Output, harmless } from "../output.ts"
import { exists, readText, replaceFile, writeNew } from "../private-files.ts"
import { auditorCredential, readTrust } from "../relay-client.ts"
import { type World, nowSeconds } from "../world.ts"

const trustOption = {
  name: "trust",
  value: "T",
  needed: true,
  help: "the trust file: custodians, the roster where trust starts, relays, the auditor's key",
  offers: "files",
} as const

/** How many entries between two lines of progress. */
const progressEvery = 10_000

type Sources = {
  readonly sourceOf: (prefix: string) => LogSource
  /** Whose logs these must be, where the trust file tells. */
  readonly relay: string | undefined
  readonly live: boolean
  readonly close: () => void
}

/** SOURCE is a relay's URL, or a folder that holds `directory/` and `traffic/`. */
async function sourcesOf(input: Invocation, world: World): Promise<Sources> {
  const source = input.argument("SOURCE")
  if (!/^https?:/u.test(source)) {
    if (!(await exists(source)))
      throw new ChappeError("file-unreadable", `${source} is neither a folder nor a URL`)
    const { DirectorySource } = await import("../../audit/adapters/directory-source.ts")
    return {
      sourceOf: (prefix) => new DirectorySource(`${source}/${prefix}`),
      relay: undefined,
      live: false,
      close: () => undefined,
    }
  }
  const { UrlSource } = await import("../../audit/adapters/url-source.ts")
  const trustFile = input.needed("trust")
  const trust = await readTrust(trustFile)
  const url = source.replace(/\/+$/u, "")
  const relay = trust.relays.find((one) => one.url === url)
  const credential =
    trust.auditor === undefined ? undefined : await auditorCredential(world, trustFile, trust)
  const open: { close(): void }[] = []
  return {
    sourceOf: (prefix) => {
      const made = new UrlSource({
        url: `${url}/${prefix}/`,
        ...(relay === undefined
          ? {}
          : { trust: { kind: "certificate" as const, pem: relay.certificate } }),
        ...(credential === undefined
          ? {}
          : {
              authorization: (path: string) =>
                credential.headers("GET", path)["authorization"] ?? "",
            }),
      })
      open.push(made)
      return made
    },
    relay: relay?.name,
    live: true,
    close: () => {
      for (const one of open) one.close()
    },
  }
}

function findingText(output: Output, item: Finding): string {
  const place = item.index === null ? item.origin : `${item.origin} #${item.index}`
  return `${output.style("red", "FOUND")} ${place}: ${harmless(item.message)} [${item.code}]`
}

function logText(log: AuditedLog): string {
  const since =
    log.consistentSince === null
      ? "first time seen"
      : `consistent since size ${log.consistentSince}`
  return [
    log.origin,
    `${log.size} entries`,
    `${log.signatures} signatures, ${log.sampled} checked twice`,
    since,
  ].join(" · ")
}

const quorums = {
  reached: "witness quorum reached",
  none: "the roster asks for no witnesses",
  missing: "too few witnesses cosigned",
} as const

function verdictText(output: Output, { verdict, findingCount }: AuditReport): string {
  switch (verdict) {
    case "ok":
      return output.style("green", "Nothing was tampered with.")
    case "tampering":
      return output.style("red", `TAMPERING: ${findingCount} finding(s).`)
    case "unverified":
      return output.style("yellow", "Not everything could be verified.")
  }
}

function reportText(output: Output, report: AuditReport): string {
  const { kept, pending } = report.promises
  return [
    `Relay ${report.relay}, roster ${report.roster}, ${quorums[report.quorum]}`,
    ...report.logs.map((log) => `  ${logText(log)}`),
    ...report.absent.map((origin) => `  ${origin} · not begun`),
    ...(kept + pending === 0 ? [] : [`  promises kept ${kept}, not yet due ${pending}`]),
    ...report.findings.map((item) => `  ${findingText(output, item)}`),
    ...report.doubts.map((item) => `  ? ${item.origin}: ${harmless(item.message)} [${item.code}]`),
    verdictText(output, report),
  ].join("\n")
}

const verdictExit = { ok: 0, unverified: 1, tampering: 3 } as const

export const auditVerify: Command = {
  name: "audit verify",
  help: "verify a relay's whole log: signatures, tree, order, gaps, and what was seen before",
  arguments: [
    { name: "SOURCE", help: "a relay's https URL, or a copied log folder", offers: "folders" },
  ],
  options: [
    trustOption,
    {
      name: "state",
      value: "FILE",
      help: "remember what was seen here; a later audit proves that the log only grew",
      offers: "files",
    },
    {
      name: "sample",
      value: "N",
      help: "of 256 entries, how many to check by the second verifier too",
    },
  ],
  examples: [
    {
      line: "chappe audit verify lab/relays/hub1/log --trust lab/trust.json --state hub1.audit",
      says: "a copied folder, offline",
    },
    {
      line: "chappe audit verify https://hub1.example:8443 --trust trust.json",
      says: "a relay as it runs",
    },
  ],
  async run(input, world) {
    const { output } = world
    const { auditRelay } = await import("../../audit/relay-audit.ts")
    const { verifiers } = await import("../../audit/double-check.ts")
    const { auditLimits } = await import("../../audit/limits.ts")
    const { formatAuditState, parseAuditState } = await import("../../audit/audit-state.ts")
    const trust = await readTrust(input.needed("trust"))
    const stateFile = input.text("state")
    const since: AuditState =
      stateFile !== undefined && (await exists(stateFile))
        ? parseAuditState(sha256, await readText(stateFile, cliLimits.responseBytesMax))
        : new Map()
    const sources = await sourcesOf(input, world)
    let told = 0
    const report = await auditRelay({
      sourceOf: sources.sourceOf,
      relay: sources.relay,
      handedIn: [],
      verifiers,
      onLog: () => undefined,
      anchor: trust.anchor,
      since,
      sample: input.integer("sample", { min: 0, max: limits.bundleEntries }) ?? auditLimits.sample,
      liveAt: sources.live ? nowSeconds(world) : undefined,
      onFinding: (item) => {
        if (!output.json) output.say(findingText(output, item))
      },
      onProgress: (origin, done, size) => {
        if (done - told < progressEvery && done !== size) return
        told = done === size ? 0 : done
        output.say(`${origin}: ${done} of ${size}`)
      },
    }).finally(sources.close)
    const { state, fork, ...facts } = report
    if (stateFile !== undefined && report.verdict === "ok")
      await replaceFile(stateFile, formatAuditState(state))
    const forkFile = fork === undefined ? undefined : await keepFork(fork)
    output.result(
      forkFile === undefined ? facts : { ...facts, fork: forkFile },
      reportText(output, report),
    )
    return verdictExit[report.verdict]
  },
}

/** The evidence that convicts a log, beside where the auditor works; never over an earlier one. */
async function keepFork(fork: Uint8Array): Promise<string> {
  let name = "fork.chappe"
  for (let copy = 1; existsSync(name); copy++) name = `fork-${copy}.chappe`
  await writeNew(name, fork)
  return name
}

export const evidenceVerify: Command = {
  name: "evidence verify",
  help: "verify an evidence file offline: who sent what to whom, who received it, where it was logged",
  arguments: [{ name: "FILE", help: "the evidence file", offers: "files" }],
  options: [trustOption],
  examples: [
    {
      line: "chappe evidence verify case-12.evidence --trust lab/trust.json",
      says: "trusting neither the relay nor HQ",
    },
  ],
  async run(input, world) {
    const { output } = world
    const { verifiers } = await import("../../audit/double-check.ts")
    const { verifyEvidence } = await import("../../audit/evidence-audit.ts")
    const trust = await readTrust(input.needed("trust"))
    const text = await readText(input.argument("FILE"), limits.evidenceFileBytesMax)
    const verdict = await verifyEvidence(parseEvidenceFile(text), trust.anchor, verifiers)
    if (!verdict.ok) {
      output.result(
        verdict,
        `${output.style("red", "NOT PROVED")}: ${harmless(verdict.message)} [${verdict.fault}]`,
      )
      return 3
    }
    const { disclosed } = verdict
    const lines = [
      output.style("green", "PROVED"),
      `  ${verdict.id} from ${verdict.from} to ${verdict.to.join(", ")}`,
      `  ${verdict.precedence}, ${formatTime(verdict.created)}`,
      output.table(
        verdict.steps.map((step) => [
          `  ${step.step}`,
          step.by,
          step.recipient ?? "",
          formatTime(step.at),
          `${step.log.origin} #${step.log.index}`,
          step.proved ? "under a checkpoint" : "promised only",
        ]),
      ),
      ...(disclosed === null
        ? ["  The content is not shown in this file."]
        : [
            `  signed by ${disclosed.officer}: ${harmless(disclosed.subject)}`,
            "",
            harmless(disclosed.text),
          ]),
    ]
    output.result(verdict, lines.join("\n"))
    return undefined
  },
}

export const evidenceExport: Command = {
  name: "evidence export",
  help: "write what proves a message into one file, for people who trust nobody here",
  arguments: [{ name: "ID", help: "the message's id" }],
  options: [
    ...nodeOptions,
    { name: "out", value: "F", needed: true, help: "the evidence file", offers: "files" },
    { name: "disclose", help: "show the content in it too" },
  ],
  examples: [
    {
      line: "chappe evidence export 0123456789abcdef0123456789abcdef --node lab/nodes/FR --out case-12.evidence",
      says: "header, signatures, receipts and proofs; the content stays sealed",
    },
  ],
  async run(input, world) {
    const id = input.argument("ID").toLowerCase()
    if (!/^[0-9a-f]{32}$/u.test(id))
      throw new ChappeError("usage", "a message's id is 32 hex digits")
    const out = input.needed("out")
    if (await exists(out)) throw new ChappeError("file-exists", `${out} exists`)
    const disclosed = input.flag("disclose")
    const query = disclosed ? "?disclose=true" : ""
    const file = await asOfficer(input, world, (client) =>
      client.getText(`/v1/messages/${id}/evidence${query}`),
    )
    // What is not a whole evidence file is not handed to anybody.
    parseEvidenceFile(file)
    await writeNew(out, file)
    world.output.result(
      { id, file: out, disclosed },
      `${out} proves ${id}${disclosed ? ", content included" : "; the content is not in it"}.`,
    )
    return undefined
  },
}

export const conformanceSignatures: Command = {
  name: "conformance signatures",
  help: "judge signatures from stdin by the written rule, and say what each library says",
  arguments: [],
  options: [],
  examples: [
    {
      line: "chappe conformance signatures < cases.ndjson",
      says: 'each line {"public","message","signature"} in hex',
    },
  ],
  async run(_input, { output, stdin }) {
    const { judgeSignature } = await import("../../audit/signature-conformance.ts")
    const lines = createInterface({ input: stdin, crlfDelay: Number.POSITIVE_INFINITY })
    let number = 0
    for await (const line of lines) {
      number += 1
      if (line.trim() === "") continue
      const found = parseJson(line, `line ${number}`)
      const hex = (key: string): Uint8Array => {
        const text = isJsonObject(found) ? found[key] : undefined
        if (typeof text !== "string" || !/^(?:[0-9a-fA-F]{2})*$/u.test(text))
          throw new ChappeError("usage", `line ${number}: ${key} is not hex`)
        return fromHex(text.toLowerCase())
      }
      const verdict = judgeSignature({
        public: hex("public"),
        message: hex("message"),
        signature: hex("signature"),
      })
      output.raw(`${JSON.stringify(verdict)}\n`)
    }
    return undefined
  },
}

export const conformanceLogVerify: Command = {
  name: "conformance log-verify",
  help: "verify any tlog-tiles folder under a log's key, or name the fault",
  arguments: [{ name: "DIR", help: "holds checkpoint and tile/", offers: "folders" }],
  options: [
    { name: "key", value: "VKEY", needed: true, help: "the log's verifier key: name+id+base64" },
    { name: "minimum-index", value: "N", help: "entries below it may have been pruned" },
  ],
  examples: [
    {
      line: "chappe conformance log-verify lab/relays/hub1/log/directory --key hub1/directory+0a1b2c3d+AQ…",
      says: "any log of this format",
    },
  ],
  async run(input, { output }) {
    const { verifyLogDirectory } = await import("../../audit/log-directory.ts")
    const { DirectorySource } = await import("../../audit/adapters/directory-source.ts")
    const dir = input.argument("DIR")
    if (!(await exists(dir))) throw new ChappeError("file-unreadable", `${dir} is not there`)
    const minimumIndex = input.integer("minimum-index", { min: 0, max: 2 ** 32 })
    const verdict = await verifyLogDirectory({
      crypto,
      source: new DirectorySource(dir),
      key: parseVerifierKey(crypto, input.needed("key")),
      ...(minimumIndex === undefined ? {} : { minimumIndex }),
    })
    output.result(
      verdict,
      verdict.ok
        ? `${output.style("green", "ok")}: ${verdict.origin}, ${verdict.size} entries, root ${verdict.root}`
        : `${output.style("red", "FAULT")}: ${harmless(verdict.message)} [${verdict.fault}]`,
    )
    return verdict.ok ? undefined : 3
  },
}
