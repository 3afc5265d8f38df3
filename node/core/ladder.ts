// The evidence ladder as a sender sees it: where each recipient's copy stands. States only move up;
// what a person at the recipient did outranks what relays say. docs/PROTOCOL.md, "Evidence ladder".

import type { ReceiptStep } from "../../protocol/receipt.ts"

export const rungs = [
  "queued",
  "custody",
  "forwarded",
  "undelivered",
  "expired",
  "rejected",
  "delivered",
  "opened",
  "in-charge",
  "refused",
  "answered",
] as const
export type Rung = (typeof rungs)[number]

/** The rung that a receipt stands for; FETCHED and ERASED are evidence beside the ladder. */
export function rungOf(step: ReceiptStep): Rung | undefined {
  return rungs.find((rung) => rung === step)
}

export function isHigher(next: Rung, current: Rung): boolean {
  return rungs.indexOf(next) > rungs.indexOf(current)
}

/** Nothing more has to be done for this recipient: its node has the message, or never will. */
export function isSettled(rung: Rung): boolean {
  return rungs.indexOf(rung) >= rungs.indexOf("expired")
}

const failures: readonly Rung[] = ["rejected", "expired", "undelivered"]

export function isFailure(rung: Rung): boolean {
  return failures.includes(rung)
}

/** A message's state over all of its recipients: the least, but a failure shows first. */
export function overall(states: readonly Rung[]): Rung {
  const failed = failures.find((failure) => states.includes(failure))
  if (failed !== undefined) return failed
  const lowest = Math.min(...states.map((rung) => rungs.indexOf(rung)))
  const rung = rungs[lowest] ?? "queued"
  return rung === "forwarded" ? "custody" : rung
}
