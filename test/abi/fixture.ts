// What every fixture holds, by the rules of `make.ts`.

/** `madeAt`: seconds since 1970; keys and mail are valid for some days after. */
export type Fixture = { readonly madeAt: number }

/** Subjects by sender, each to the other one: delivered before the processes were stopped. */
export const arrived = {
  FR: ["First from FR", "Second from FR", "Third from FR"],
  JP: ["First from JP", "Second from JP"],
} as const

/** From FR, accepted by the relay and not yet delivered to JP. */
export const waiting = ["First that waits", "Second that waits"] as const

export function textOf(subject: string): string {
  return `The text of: ${subject}.`
}

export function attachmentOf(subject: string): Uint8Array {
  return new TextEncoder().encode(subject.repeat(40))
}
