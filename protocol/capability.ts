// Who may do what: one table from roles to capabilities, one from content types to the capability
// that their signature needs. Capabilities are exact strings; they only narrow. docs/PROTOCOL.md.

import type { Value } from "./codec.ts"

export const colours = [
  "red",
  "blue",
  "green",
  "yellow",
  "black",
  "orange",
  "purple",
  "un",
  "silver",
] as const

const noticeCapabilities = colours.map((colour) => `sign/notice/${colour}`)
const diffusionCapabilities = colours.map((colour) => `sign/diffusion/${colour}`)

/** Roles of DESIGN's officers and the capabilities that each brings. */
export const roles = {
  officer: ["sign/case", "read/case", "take/charge", "export/evidence"],
  releaser: [...noticeCapabilities, ...diffusionCapabilities],
  supervisor: ["read/case", "read/journal", "enrol/officer", "export/evidence"],
  auditor: ["read/journal", "export/evidence"],
  operator: ["admin/node"],
  decider: ["desk/decide"],
} as const satisfies Record<string, readonly string[]>
export type Role = keyof typeof roles

export const roleNames = [
  "officer",
  "releaser",
  "supervisor",
  "auditor",
  "operator",
  "decider",
] as const

/** The capabilities of several roles, sorted, each once. */
export function capabilitiesOf(given: readonly Role[]): readonly string[] {
  return [...new Set(given.flatMap((role) => roles[role]))].toSorted()
}

/** A notice or diffusion that states no colour needs the capability for every colour. */
function byColour(
  act: "sign/notice" | "sign/diffusion",
  colour: Value | undefined,
): readonly string[] {
  const stated = colours.find((one) => one === colour)
  return stated === undefined ? colours.map((one) => `${act}/${one}`) : [`${act}/${stated}`]
}

/** Content types, and the capabilities that the signing officer must hold, all of them. */
export const contentTypes = {
  "case/info": () => ["sign/case"],
  "case/reply": () => ["sign/case"],
  "notice/request": (colour: Value | undefined) => byColour("sign/notice", colour),
  "notice/published": () => ["desk/decide"],
  "diffusion/send": (colour: Value | undefined) => byColour("sign/diffusion", colour),
} as const satisfies Record<string, (colour: Value | undefined) => readonly string[]>
export type ContentType = keyof typeof contentTypes

export function isContentType(name: string): name is ContentType {
  return Object.hasOwn(contentTypes, name)
}

/** Whether only an officer of a member flagged `desk` may sign this. */
export function isDesksOwn(type: ContentType): boolean {
  return type === "notice/published"
}

/** The first capability that signing this would need and `held` lacks. */
export function missingCapability(
  type: ContentType,
  colour: Value | undefined,
  held: readonly string[],
): string | undefined {
  return contentTypes[type](colour).find((needed) => !held.includes(needed))
}
