// What auditors run: a relay's logs, an evidence file, and the conformance of our own verifiers.

import { createInterface } from "node:readline"
import { crypto } from "../../keys/crypto.ts"
import { fromHex } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { parseEvidenceFile } from "../../protocol/evidence-file.ts"
import { limits } from "../../protocol/limits.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import type { Command } from "../command.ts"
import { isJsonObject, parseJson } from "../json.ts"
import { asOfficer, nodeOptions } from "../node-client.ts"
import { harmless } from "../output.ts"
import { exists, writeNew } from "../private-files.ts"
import { nowSeconds } from "../world.ts"

const trustOption = {
  name: "trust",
  value: "T",
  needed: true,
  help: "the trust file: custodians, the roster where trust starts, relays, the auditor's key",
  offers: "files",
} as const

export const auditVerify: Command = {
  name: "audit verify",
  help: "verify a relay's whole log: signatures, tree, order, gaps, and what was seen before",
  arguments: [
    {
      name: "SOURCE",
      help: "a relay's https URL, its name in the trust file, or a copied log folder",
      offers: "folders",
    },
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
      name: "evidence",
      value: "F",
      many: true,
      help: "an evidence file whose promises the log must have kept",
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
    const { verifySource } = await import("../../audit/compose.ts")
    const { eventText } = await import("../../audit/audit-report.ts")
    const stateFile = input.text("state")
    const sample = input.integer("sample", { min: 0, max: limits.bundleEntries })
    const evidence = input.texts("evidence")
    const { exit } = await verifySource({
      source: input.argument("SOURCE"),
      trustFile: input.needed("trust"),
      ...(stateFile === undefined ? {} : { stateFile }),
      ...(sample === undefined ? {} : { sample }),
      evidence,
      clock: () => nowSeconds(world),
      onEvent(event) {
        if (event.event === "progress" && !output.json) output.say(eventText(event))
        else output.result(event, eventText(event))
      },
    })
    return exit
  },
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
    const { verifyEvidenceFile } = await import("../../audit/compose.ts")
    const { evidenceText } = await import("../../audit/audit-report.ts")
    const { exit, verdict } = await verifyEvidenceFile({
      file: input.argument("FILE"),
      trustFile: input.needed("trust"),
    })
    output.result(verdict, evidenceText(verdict))
    return exit
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
      line: "chappe conformance log-verify lab/relays/hub1/log/directory --key hub1/directory+0a1b2c3d+AQID",
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
