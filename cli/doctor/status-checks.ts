// What a running node says of itself: its links, its clock, its alarms. Needs the operator's secret beside
// the key, as on unattended machines; without it the node's own pages must do.

import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { formatDuration, formatTime } from "../duration.ts"
import { type JsonObject, isJsonObject, numberField, objectsField, textField } from "../json.ts"
import { cliLimits } from "../limits.ts"
import { NodeClient } from "../node-client.ts"
import { harmless } from "../output.ts"
import { exists, readBytes } from "../private-files.ts"
import { type Check, bad, good, watch } from "./check.ts"

export async function checkNodeStatus(dir: string, name: string): Promise<readonly Check[]> {
  const secretFile = join(dir, "officers", "operator.secret")
  if (!(await exists(secretFile))) return []
  const about = `node ${name}`
  try {
    const secret = await readBytes(secretFile, cliLimits.secretFileBytesMax)
    const client = await (await NodeClient.at(dir)).signIn("operator", secret)
    const status = await client.get("/v1/status")
    await client.signOut()
    return [linksCheck(about, status), ...clockChecks(about, status), ...alarmChecks(about, status)]
  } catch (error) {
    if (!(error instanceof ChappeError)) throw error
    // That it is down is said already.
    return error.code === "node-down" ? [] : [watch(about, error.message, error.next)]
  }
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

function alarmChecks(about: string, status: JsonObject): readonly Check[] {
  return objectsField(status, "alarms").map((alarm) =>
    bad(
      `${about}: alarm`,
      `${textField(alarm, "kind")} ${harmless(textField(alarm, "subject"))}, ${formatTime(numberField(alarm, "at"))}`,
      "see docs/operator.md for this alarm",
    ),
  )
}
