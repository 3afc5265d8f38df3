// Names of members, relays, officers and content types. Compared as bytes; none can pass for another kind.

import { type Codec, text } from "./codec.ts"
import { limits } from "./limits.ts"

const memberForm = /^[A-Z][A-Z0-9-]{0,31}$/u
const relayForm = /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/u
const officerForm = /^[A-Z][A-Z0-9-]{0,31}\/[a-z0-9.-]{1,32}$/u
const contentTypeForm = /^[a-z]+(?:\/[a-z0-9-]+)*$/u
const originForm = /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?\/[a-z0-9./]{1,64}$/u
const codeForm = /^[a-z]+(?:[-_][a-z]+)*$/u
const capabilityForm = /^[a-z]+(?:\/[a-z0-9-]+)+$/u

/** A member, known by its node's name: `FR`, `HQ`. */
export const memberName: Codec<string> = text(limits.memberNameMax, memberForm)
/** A relay; its name starts the origins of its logs. */
export const relayName: Codec<string> = text(limits.relayNameMax, relayForm)
/** Signers of batches and HELLO: a member's node or a relay. */
export const stationName: Codec<string> = text(
  limits.relayNameMax,
  new RegExp(`${memberForm.source}|${relayForm.source}`, "u"),
)
/** `FR/duty`: node name, slash, 1–32 of `[a-z0-9.-]`. */
export const officerId: Codec<string> = text(65, officerForm)
/** Whoever took a step: an officer, a member's node or a relay. */
export const partyName: Codec<string> = text(
  65,
  new RegExp(`${officerForm.source}|${memberForm.source}|${relayForm.source}`, "u"),
)
export const contentTypeName: Codec<string> = text(limits.contentTypeBytesMax, contentTypeForm)
export const capabilityName: Codec<string> = text(limits.contentTypeBytesMax, capabilityForm)
/** A log's name, `<relay>/directory` or `<relay>/traffic/<shard>`; the key name of its notes. */
export const logOrigin: Codec<string> = text(130, originForm)
/** A reason or error code. */
export const codeName: Codec<string> = text(limits.reasonBytesMax, codeForm)

export function isMemberName(name: string): boolean {
  return memberForm.test(name)
}

export function isRelayName(name: string): boolean {
  return relayForm.test(name)
}

export function isOfficerId(name: string): boolean {
  return officerForm.test(name)
}

/** A reason: an error code, or a word of the police domain such as `law_forbids`. */
export function isCodeName(name: string): boolean {
  return name.length <= limits.reasonBytesMax && codeForm.test(name)
}
