// What an audit says: one record for each line of JSON, and the same in words. Fields are only ever added:
// outsiders' scripts read them. docs/PROTOCOL.md, "Auditing".

import type { EvidenceVerdict } from "./evidence-audit.ts"
import type { Finding } from "./finding.ts"
import type { AuditReport, AuditedLog, Quorum } from "./relay-audit.ts"

export type AuditEvent =
  | {
      readonly event: "progress"
      readonly log: string
      readonly done: number
      readonly size: number
    }
  | ({ readonly event: "log" } & AuditedLog)
  | ({ readonly event: "finding" } & Finding)
  | ({ readonly event: "verdict" } & AuditVerdict)

/** 0 all good, 3 tampering found, 1 could not be checked. */
export type AuditExit = 0 | 1 | 3

/** `state` and `fork`: the files written, null for none. */
export type AuditVerdict = {
  readonly verdict: AuditReport["verdict"]
  readonly ok: boolean
  readonly relay: string
  readonly roster: number
  readonly quorum: Quorum
  readonly live: boolean
  readonly entries: number
  readonly signatures: number
  readonly sampled: number
  readonly findings: number
  readonly codes: readonly string[]
  readonly doubts: readonly {
    readonly code: string
    readonly log: string
    readonly message: string
  }[]
  readonly absent: readonly string[]
  readonly promises: { readonly kept: number; readonly pending: number }
  readonly state: string | null
  readonly fork: string | null
}

export function exitOf(verdict: AuditReport["verdict"]): AuditExit {
  switch (verdict) {
    case "ok":
      return 0
    case "tampering":
      return 3
    case "unverified":
      return 1
  }
}

export function verdictOf(
  report: AuditReport,
  more: Pick<AuditVerdict, "live" | "state" | "fork">,
): AuditVerdict {
  const { verdict, relay, roster, quorum, logs, absent, promises } = report
  const sum = (count: (log: AuditedLog) => number): number =>
    logs.reduce((total, log) => total + count(log), 0)
  return {
    verdict,
    ok: verdict === "ok",
    relay,
    roster,
    quorum,
    entries: sum((log) => log.entries),
    signatures: sum((log) => log.signatures),
    sampled: sum((log) => log.sampled),
    findings: report.findingCount,
    codes: [...new Set(report.findings.map(({ code }) => code))].toSorted(),
    doubts: report.doubts.map(({ code, origin, message }) => ({ code, log: origin, message })),
    absent,
    promises,
    ...more,
  }
}

/** The event for people: one or more lines without the last newline. */
export function eventText(event: AuditEvent): string {
  switch (event.event) {
    case "progress":
      return `${event.log}: ${event.done} of ${event.size} entries`
    case "log":
      return logText(event)
    case "finding":
      return `FOUND in ${event.origin}${event.index === null ? "" : ` at entry ${event.index}`}: ${event.message}  [${event.code}]`
    case "verdict":
      return verdictText(event)
  }
}

function logText(log: AuditedLog): string {
  const { consistentSince, cosigned, newestCosignature, prunedEntries } = log
  const lines = [
    `${log.origin}: ${log.size} entries, root ${log.root}`,
    consistentSince === null
      ? "  seen for the first time: whatever came before this head is not vouched for by an earlier audit"
      : `  continues the ${consistentSince} entries of the last audit`,
    `  read ${log.entries} entries, checked ${log.signatures} signatures, ${log.sampled} of them a second time by other code`,
  ]
  if (prunedEntries > 0)
    lines.push(`  ${prunedEntries} entries were pruned: known by their hashes only`)
  lines.push(
    `  ${quorumText(log.quorum)}; cosigned by ${listed(cosigned)}${newest(newestCosignature)}`,
  )
  return lines.join("\n")
}

function quorumText(quorum: Quorum): string {
  switch (quorum) {
    case "reached":
      return "quorum of witnesses reached"
    case "none":
      return "quorum: none is asked for by this roster"
    case "missing":
      return "quorum of witnesses MISSING"
  }
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "nobody" : names.join(", ")
}

function newest(seconds: number | null): string {
  return seconds === null ? "" : `, last at ${timeText(seconds)}`
}

function timeText(seconds: number): string {
  const date = new Date(seconds * 1_000)
  return Number.isNaN(date.getTime()) ? `second ${seconds}` : date.toISOString()
}

function verdictText(event: AuditVerdict): string {
  const doubts = event.doubts.map(({ code, log, message }) => `  ${log}: ${message}  [${code}]`)
  const lines = [...verdictLines(event), ...doubts]
  for (const origin of event.absent) lines.push(`  ${origin} is named and has not begun.`)
  const { kept, pending } = event.promises
  if (kept + pending > 0) lines.push(`  Promises handed in: ${kept} kept, ${pending} still open.`)
  if (!event.live)
    lines.push("  This is a copy: the age of its checkpoints is reported and not judged.")
  if (event.state !== null) lines.push(`  The next audit starts from ${event.state}.`)
  if (event.fork !== null)
    lines.push(`  ${event.fork} convicts the log's key by itself: show it to anybody.`)
  return lines.join("\n")
}

function verdictLines(event: AuditVerdict): readonly string[] {
  const name = event.relay === "" ? "the relay" : event.relay
  switch (event.verdict) {
    case "ok":
      return [
        `All good: ${name}'s logs are what they say, under roster ${event.roster}.`,
        `  Checked: every file against the signed roots, every statement and its signatures, for each of the`,
        `  ${event.entries} entries its form, order, sequence number, commitment and the key's validity, and`,
        `  ${event.signatures} signatures, ${event.sampled} of them by two verifiers that share no code.`,
      ]
    case "tampering":
      return [
        `TAMPERING: ${event.findings} finding${event.findings === 1 ? "" : "s"} in ${name}'s logs (${event.codes.join(", ")}).`,
        "  Keep the files as they are and tell the custodians.",
      ]
    case "unverified":
      return [
        `NOT VERIFIED: nothing wrong was found in ${name}'s logs, but not all could be checked.`,
      ]
  }
}

/** An evidence file's verdict for people. */
export function evidenceText(verdict: EvidenceVerdict): string {
  if (!verdict.ok)
    return `NOT PROVED: ${verdict.message}  [${verdict.fault}]\n  Keep the file as it is; it proves nothing as it stands.`
  const { disclosed, steps, warnings } = verdict
  const lines = [
    `Proved: ${verdict.from} sent message ${verdict.id} to ${verdict.to.join(", ")}, precedence ${verdict.precedence}.`,
    ...steps.map(
      ({ step, by, recipient, reason, log, loggedAt, proved }) =>
        `  ${timeText(loggedAt)}  ${step} by ${by}${recipient === null ? "" : ` for ${recipient}`}${reason === null ? "" : ` (${reason})`}; ${log.origin} entry ${log.index}, ${proved ? "proved" : "promised"}`,
    ),
  ]
  if (disclosed === null) lines.push("  The content is not shown; it stays sealed.")
  else
    lines.push(
      `  The content is shown and is what was sent: ${disclosed.type} by ${disclosed.officer}`,
      `  Subject: ${disclosed.subject}`,
    )
  return [...lines, ...warnings.map((warning) => `  Note: ${warning}.`)].join("\n")
}
