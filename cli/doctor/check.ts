// One thing that the doctor looked at.

export type CheckState = "good" | "watch" | "bad"

export type Check = {
  /** What was looked at, in a few words. */
  readonly about: string
  readonly state: CheckState
  /** What was found, a sentence without a full stop. */
  readonly says: string
  /** What to do; nothing where all is well. */
  readonly next?: string
}

export function good(about: string, says: string): Check {
  return { about, state: "good", says }
}

export function watch(about: string, says: string, next: string): Check {
  return { about, state: "watch", says, next }
}

export function bad(about: string, says: string, next: string): Check {
  return { about, state: "bad", says, next }
}
