// Auditors on the HTTPS listener: a request signed by a key that the roster names, and a trace in the log of
// what they exported. docs/PROTOCOL.md, "The relay's HTTPS listener".

import { verify } from "../../keys/ed25519.ts"
import { sha256 } from "../../keys/crypto.ts"
import { auditorMessage, parseAuditorAuthorization } from "../../protocol/auditor-authorization.ts"
import { emptyBytes } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { commitmentOf } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { keyId } from "../../protocol/key-id.ts"
import { relayLimits } from "../limits.ts"
import type { Committer } from "./committer.ts"
import type { Logs } from "./logs.ts"
import type { NetworkClock } from "./network-clock.ts"
import type { Journal, Random } from "./ports.ts"

/** The auditor's name. Refused: `unauthenticated`. */
export function openAuditorHeader(
  directory: Directory,
  now: number,
  request: { readonly authorization: string; readonly method: string; readonly path: string },
): string {
  const { name, time, signature } = parseAuditorAuthorization(request.authorization)
  const key = directory.auditorKey(name)
  const message = auditorMessage({ method: request.method, path: request.path, time })
  const isFresh = Math.abs(time - now) <= relayLimits.auditorClockSeconds
  if (key === undefined || !isFresh || !verify(key, message, signature))
    throw new ChappeError("unauthenticated", "the auditor's signature does not hold")
  return name
}

type Range = { readonly from: number; readonly to: number }

/** What auditors exported of the traffic log: one entry for each run of bundles, about a minute later. */
export class AccessRecord {
  readonly #directory: Directory
  readonly #committer: Committer
  readonly #logs: Logs
  readonly #network: NetworkClock
  readonly #random: Random
  readonly #journal: Journal
  readonly #pending = new Map<string, Range[]>()

  constructor(parts: {
    readonly directory: Directory
    readonly committer: Committer
    readonly logs: Logs
    readonly network: NetworkClock
    readonly random: Random
    readonly journal: Journal
  }) {
    this.#directory = parts.directory
    this.#committer = parts.committer
    this.#logs = parts.logs
    this.#network = parts.network
    this.#random = parts.random
    this.#journal = parts.journal
  }

  /** `to` is exclusive. */
  exported(auditor: string, range: Range): void {
    const ranges = this.#pending.get(auditor) ?? []
    const last = ranges.at(-1)
    // Bundles are fetched one after another: a run is one range.
    if (last !== undefined && range.from <= last.to && range.to >= last.from)
      ranges[ranges.length - 1] = {
        from: Math.min(last.from, range.from),
        to: Math.max(last.to, range.to),
      }
    else ranges.push(range)
    this.#pending.set(auditor, ranges)
  }

  /** Logs what is pending. */
  async flush(): Promise<void> {
    if (this.#logs.isHeld || !this.#network.isAgreed) return
    const pending = [...this.#pending]
    this.#pending.clear()
    for (const [auditor, ranges] of pending) {
      const key = this.#directory.auditorKey(auditor)
      if (key === undefined) continue
      const id = keyId(sha256, "auditor", key)
      await this.#committer.commit(async (draft) => {
        const { time } = draft
        for (const { from, to } of ranges) {
          // No purpose is asked for yet: the commitment hides an empty one.
          const commit = commitmentOf(sha256, this.#random(32), sha256(emptyBytes))
          draft.appendTraffic({ kind: "access", time, keyId: id, from, to, commit })
        }
        return () => undefined
      })
      this.#journal.info("export", { auditor, ranges: ranges.length })
    }
  }
}
