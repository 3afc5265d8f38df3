// What a running node says of itself: its links, its clock, its alarms. Needs the operator's secret beside
// the key, as on unattended machines; without it the node's own pages must do.

import { ChappeError } from "../../protocol/errors.ts"
import { formatBytes, formatDuration, formatTime } from "../duration.ts"
import { type JsonObject, isJsonObject, numberField, objectsField, textField } from "../json.ts"
import { asOperator } from "../node-client.ts"
import { gapText } from "../message-view.ts"
import { harmless } from "../output.ts"
import { type World, nowSeconds } from "../world.ts"
import { type Check, bad, good, watch } from "./check.ts"
import { lastingCheck, officerCheck, rosterCheck, rotateAdvice } from "./lasting.ts"

/** Undefined where the node cannot be asked: then its folder's first directory must do. */
export async function checkNodeStatus(
  world: World,
  dir: string,
  name: string,
): Promise<readonly Check[] | undefined> {
  const about = `node ${name}`
  const now = nowSeconds(world)
  try {
    return await asOperator(dir, async (client) => {
      const status = await client.get("/v1/status")
      const roster = await client.get("/v1/roster")
      const { officers } = await client.get("/v1/officers")
      return [
        linksCheck(about, status),
        ...clockChecks(about, status),
        ...alarmChecks(about, status),
        ...missingChecks(about, status),
        ...diskChecks(about, status),
        keyCheck(about, dir, status, now),
        rosterCheck(numberField(roster, "number"), numberField(roster, "expires"), now),
        ...officerChecks({ officers: officers ?? [] }, now),
      ]
    })
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    // That it is down is said already.
    return error.code === "node-down" ? undefined : [watch(about, error.message, error.next)]
  }
}

function keyCheck(about: string, dir: string, status: JsonObject, now: number): Check {
  const keys = status["keys"]
  const known = isJsonObject(keys) ? keys : {}
  const current = objectsField(known, "node").filter(
    (key) => numberField(key, "incarnation") === numberField(known, "incarnation"),
  )
  const end = Math.max(0, ...current.map((key) => numberField(key, "notAfter")))
  return lastingCheck(`${about}: key`, end, now, rotateAdvice(dir))
}

/** Each officer's newest key that was not revoked. */
function officerChecks(answer: JsonObject, now: number): readonly Check[] {
  const ends = new Map<string, number>()
  for (const officer of objectsField(answer, "officers")) {
    if (officer["revoked"] === true) continue
    const name = textField(officer, "officer")
    ends.set(name, Math.max(ends.get(name) ?? 0, numberField(officer, "notAfter")))
  }
  return [...ends].map(([name, end]) => officerCheck(name, end, now))
}

function linksCheck(about: string, status: JsonObject): Check {
  const links = objectsField(status, "links")
  const down = links.filter((link) => link["up"] !== true)
  const names = down.map((link) => `${textField(link, "relay")} (${textField(link, "code")})`)
  if (links.length > 0 && down.length === 0)
    return good(`${about}: links`, links.map((link) => textField(link, "relay")).join(", "))
  const says = `no link to ${names.join(", ")}`
  return down.length < links.length
    ? watch(`${about}: links`, says, "mail goes by the other relay; look after this one")
    : bad(`${about}: links`, says, "mail is kept and waits; check the network and the relays")
}

function clockChecks(about: string, status: JsonObject): readonly Check[] {
  const clock = status["clock"]
  if (!isJsonObject(clock) || clock["off"] !== true) return []
  const says = `${formatDuration(Math.abs(numberField(clock, "offsetSeconds")))} off network time`
  return [bad(`${about}: clock`, says, "set the clock: work is held until it agrees")]
}

function diskChecks(about: string, status: JsonObject): readonly Check[] {
  const disk = status["disk"]
  if (!isJsonObject(disk) || disk["isFull"] !== true) return []
  const says = `full: ${formatBytes(numberField(disk, "freeBytes"))} left; no new mail is taken`
  return [bad(`${about}: disk`, says, "make room; the node goes on by itself")]
}

function missingChecks(about: string, status: JsonObject): readonly Check[] {
  return objectsField(status, "missing").map((gap) =>
    watch(
      `${about}: mail`,
      gapText(gap),
      "the node asks the sender by itself; if it lasts, call them",
    ),
  )
}

function alarmChecks(about: string, status: JsonObject): readonly Check[] {
  return objectsField(status, "alarms").map((alarm) =>
    bad(
      `${about}: alarm`,
      `${textField(alarm, "kind")} ${harmless(textField(alarm, "subject"))}, ${formatTime(numberField(alarm, "at"))}`,
      "see docs/operator.md, Alarms",
    ),
  )
}
