// The auditor's two questions, from paths to verdicts: is a relay's log what it says (`chappe audit verify`),
// and what does an evidence file prove (`chappe evidence verify`).

import { join } from "node:path"
import { sha256 } from "../keys/crypto.ts"
import { auditorMessage, formatAuditorAuthorization } from "../protocol/auditor-authorization.ts"
import { ChappeError } from "../protocol/errors.ts"
import type { TrustFile, TrustedRelay } from "../protocol/trust-file.ts"
import {
  isFolder,
  openAuditorKey,
  readEvidence,
  readState,
  readTrust,
  writeFork,
  writeState,
} from "./adapters/audit-files.ts"
import { DirectorySource } from "./adapters/directory-source.ts"
import { UrlSource } from "./adapters/url-source.ts"
import {
  type AuditEvent,
  type AuditExit,
  type AuditVerdict,
  exitOf,
  verdictOf,
} from "./audit-report.ts"
import { verifiers } from "./double-check.ts"
import { type EvidenceVerdict, judged, verifyEvidence } from "./evidence-audit.ts"
import { auditLimits } from "./limits.ts"
import type { LogSource } from "./log-source.ts"
import { type HandedIn, handedInBy } from "./promise-audit.ts"
import { auditRelay } from "./relay-audit.ts"

export type SourceToVerify = {
  /** A relay's https URL, its name in the trust file, or a directory with `directory/` and `traffic/…`. */
  readonly source: string
  /** Paths. Without a state file the audit starts anew each time. */
  readonly trustFile: string
  readonly stateFile?: string
  /** Of 256 entries of traffic, how many signatures are verified by both verifiers. */
  readonly sample?: number
  /** Evidence files whose promises the log must have kept. */
  readonly evidence?: readonly string[]
  /** Seconds since 1970. */
  readonly clock: () => number
  readonly onEvent: (event: AuditEvent) => void
}

/** The verdict was given to `onEvent` too, as the last event. */
export type AuditOutcome = { readonly exit: AuditExit; readonly verdict: AuditVerdict }

/** Refused: `usage`, `config`, `file-unreadable`, `passphrase`, `key-file`: before anything is checked. */
export async function verifySource(request: SourceToVerify): Promise<AuditOutcome> {
  const { trustFile, stateFile, clock, onEvent } = request
  const trust = await readTrust(trustFile)
  const since = stateFile === undefined ? new Map() : await readState(stateFile)
  const handedIn = await readHandedIn(request.evidence ?? [])
  const opened = await openSource(request, trust)
  try {
    const live = opened.kind === "live"
    const report = await auditRelay({
      sourceOf: opened.sourceOf,
      relay: live ? opened.relay : undefined,
      anchor: trust.anchor,
      since,
      sample: request.sample ?? auditLimits.sample,
      liveAt: live ? clock() : undefined,
      handedIn,
      verifiers,
      onFinding: (finding) => onEvent({ event: "finding", ...finding }),
      onProgress: stepwise((log, done, size) => onEvent({ event: "progress", log, done, size })),
      onLog: (log) => onEvent({ event: "log", ...log }),
    })
    const isKept = stateFile !== undefined && report.verdict === "ok"
    if (isKept) await writeState(stateFile, report.state)
    const fork =
      stateFile === undefined || report.fork === undefined
        ? null
        : await writeFork(stateFile, report.fork)
    const verdict = verdictOf(report, { live, state: isKept ? stateFile : null, fork })
    onEvent({ event: "verdict", ...verdict })
    return { exit: exitOf(report.verdict), verdict }
  } finally {
    opened.close()
  }
}

export type EvidenceOutcome = { readonly exit: 0 | 3; readonly verdict: EvidenceVerdict }

/** Offline. Refused: `config`, `file-unreadable`; what is wrong with the evidence is in the verdict. */
export async function verifyEvidenceFile(request: {
  readonly file: string
  readonly trustFile: string
}): Promise<EvidenceOutcome> {
  const { anchor } = await readTrust(request.trustFile)
  const verdict = await judgedFile(request.file, (file) => verifyEvidence(file, anchor, verifiers))
  return { exit: verdict.ok ? 0 : 3, verdict }
}

async function judgedFile(
  path: string,
  judge: (file: Awaited<ReturnType<typeof readEvidence>>) => Promise<EvidenceVerdict>,
): Promise<EvidenceVerdict> {
  // A file that is not there proves nothing against anybody.
  if (await isFolder(path)) throw new ChappeError("file-unreadable", `${path} is a folder`)
  return judged(async () => judge(await readEvidence(path)), ["file-unreadable"])
}

async function readHandedIn(paths: readonly string[]): Promise<readonly HandedIn[]> {
  const all: HandedIn[] = []
  for (const path of paths) all.push(...handedInBy(sha256, await readEvidence(path)))
  return all
}

type OpenedSource = {
  readonly sourceOf: (prefix: string) => LogSource
  readonly close: () => void
} & ({ readonly kind: "copy" } | { readonly kind: "live"; readonly relay: string | undefined })

async function openSource(request: SourceToVerify, trust: TrustFile): Promise<OpenedSource> {
  const { source } = request
  if (/^https?:\/\//u.test(source)) {
    if (!URL.canParse(source)) throw new ChappeError("usage", `${source} is not a URL`)
    return openRelay(request, trust, source)
  }
  if (await isFolder(join(source, "directory")))
    return {
      kind: "copy",
      sourceOf: (prefix) => new DirectorySource(join(source, prefix)),
      close: () => undefined,
    }
  const named = trust.relays.find(({ name }) => name === source)
  if (named !== undefined) return openRelay(request, trust, named.url)
  throw new ChappeError(
    "usage",
    `${source} is neither a relay's https URL or name nor a folder that holds a folder named directory`,
  )
}

async function openRelay(
  request: SourceToVerify,
  trust: TrustFile,
  url: string,
): Promise<OpenedSource> {
  if (trust.auditor === undefined)
    throw new ChappeError(
      "config",
      "the trust file names no auditor, and relays show traffic to nobody else",
    )
  const { name, sign } = await openAuditorKey(request.trustFile, trust.auditor)
  const known = trust.relays.find((relay) => isAt(relay, url))
  const opened = new Map<string, UrlSource>()
  const authorization = (path: string): string => {
    const time = request.clock()
    const signature = sign(auditorMessage({ method: "GET", path, time }))
    return formatAuditorAuthorization({ name, time, signature })
  }
  return {
    kind: "live",
    relay: known?.name,
    sourceOf(prefix) {
      const before = opened.get(prefix)
      if (before !== undefined) return before
      const made = new UrlSource({
        url: `${url.replace(/\/+$/u, "")}/${prefix}/`,
        trust:
          known === undefined
            ? { kind: "system" }
            : { kind: "certificate", pem: known.certificate },
        authorization,
      })
      opened.set(prefix, made)
      return made
    },
    close() {
      for (const one of opened.values()) one.close()
    },
  }
}

function isAt(relay: TrustedRelay, url: string): boolean {
  return new URL(relay.url).origin === new URL(url).origin
}

/** Not more than so many lines for one log, the last one among them. */
function stepwise(
  tell: (log: string, done: number, size: number) => void,
): (log: string, done: number, size: number) => void {
  const told = new Map<string, number>()
  return (log, done, size) => {
    const step = Math.floor((done / Math.max(1, size)) * auditLimits.progressSteps)
    if (told.get(log) === step) return
    told.set(log, step)
    tell(log, done, size)
  }
}
