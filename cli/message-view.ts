// Messages as the command shows them: the contract's JSON fields, and lines for people.

import { formatBytes, formatTime } from "./duration.ts"
import {
  type JsonObject,
  isJsonObject,
  listField,
  numberField,
  objectsField,
  textField,
  wordsField,
} from "./json.ts"
import { type Output, harmless } from "./output.ts"

const listed = [
  "id",
  "from",
  "type",
  "subject",
  "precedence",
  "created",
  "received",
  "channel",
  "attachments",
  "state",
] as const

/** The contract's fields of `chappe inbox`, in its order. What the node says besides follows. */
export function inboxObject(item: JsonObject): JsonObject {
  const first = Object.fromEntries(
    listed.flatMap((key) => {
      const found = item[key]
      return found === undefined ? [] : [[key, found]]
    }),
  )
  return { ...first, ...item }
}

/** A field as text for a terminal: mail must not move the cursor, colour itself or turn names round. */
function shown(item: JsonObject, key: string): string {
  return harmless(textField(item, key))
}

function precedenceText(output: Output, item: JsonObject): string {
  const precedence = shown(item, "precedence")
  if (precedence === "flash") return output.style("red", "FLASH")
  if (precedence === "immediate") return output.style("yellow", "IMMEDIATE")
  return precedence
}

/** A sender's numbers that have not come, a sentence without a full stop. */
export function gapText(gap: JsonObject): string {
  const first = numberField(gap, "first")
  const last = numberField(gap, "last")
  const numbers = first === last ? `number ${first} is` : `numbers ${first} to ${last} are`
  const asked = numberField(gap, "asked")
  const times = asked === 1 ? "once" : `${asked} times`
  const since = formatTime(numberField(gap, "since"))
  return `from ${shown(gap, "from")}, ${shown(gap, "precedence")}: ${numbers} missing since ${since}, asked for ${times}`
}

/** One missed deadline: who waits for whom, and what became of it. */
export function escalationText(item: JsonObject): string {
  const outcome = item["outcome"]
  const end = isJsonObject(outcome)
    ? `${shown(outcome, "step")} ${timeText(outcome, "at")}`
    : "not delivered yet"
  const relays = wordsField(item, "relays")
  const where = relays.length === 0 ? "no relay has it" : `with ${relays.join(", ")}`
  return [
    `${shown(item, "precedence")} from ${shown(item, "from")} to ${shown(item, "recipient")}: ${end}`,
    `  ${textField(item, "id")}  ${where}`,
    `  written ${timeText(item, "created")}, due ${timeText(item, "deadline")}, expires ${timeText(item, "expires")}`,
  ].join("\n")
}

/** Three lines: what needs to be seen first stands first. */
export function inboxText(output: Output, item: JsonObject): string {
  const state = shown(item, "state")
  const files = objectsField(item, "attachments")
  const fileText = files
    .map((file) => `${shown(file, "name")} (${formatBytes(numberField(file, "size"))})`)
    .join(", ")
  const mark = state === "new" ? output.style("bold", "NEW ") : ""
  const head = `${mark}${precedenceText(output, item)} ${shown(item, "type")} from ${shown(item, "from")}`
  return [
    output.style("bold", shown(item, "subject")),
    `  ${head}, ${state}, received ${timeText(item, "received")}`,
    `  ${shown(item, "id")}${fileText === "" ? "" : `  attached: ${fileText}`}`,
    ...wordsField(item, "warnings").map((warning) => `  ${output.style("yellow", `! ${warning}`)}`),
  ].join("\n")
}

/** The node gives seconds or an RFC 3339 instant. */
export function timeText(item: JsonObject, key: string): string {
  const found = item[key]
  if (typeof found === "number") return formatTime(found)
  if (typeof found === "string") {
    const at = Date.parse(found)
    return Number.isNaN(at) ? found : formatTime(at / 1000)
  }
  return "?"
}

function refLine(item: JsonObject): readonly string[] {
  const refs = [
    ["our ref", shown(item, "ourRef")],
    ["your ref", shown(item, "yourRef")],
  ].filter(([, text]) => text !== "")
  return refs.length === 0 ? [] : [`  ${refs.map((pair) => pair.join(" ")).join(", ")}`]
}

export function openedText(output: Output, item: JsonObject): string {
  const label = item["label"]
  const labelText = isJsonObject(label)
    ? `${shown(label, "classification")} ${shown(label, "handling")}`
    : ""
  const info = wordsField(item, "info")
  const files = objectsField(item, "attachments").map((file, i) => [
    `  ${i + 1}`,
    shown(file, "name"),
    formatBytes(numberField(file, "size")),
  ])
  const form = item["document"]
  return [
    output.style("bold", shown(item, "subject")),
    `  ${precedenceText(output, item)} ${shown(item, "type")} from ${shown(item, "from")}, signed by ${shown(item, "officer")}`,
    `  to ${wordsField(item, "to").join(", ")}${info.length === 0 ? "" : `, for information ${info.join(", ")}`}`,
    `  ${labelText}  written ${timeText(item, "created")}, received ${timeText(item, "received")}`,
    ...refLine(item),
    ...wordsField(item, "warnings").map((warning) => `  ${output.style("yellow", `! ${warning}`)}`),
    "",
    shown(item, "text"),
    ...(isJsonObject(form) ? ["", ...formLines(form, "  ")] : []),
    ...(files.length === 0 ? [] : ["", "Attachments:", output.table(files)]),
  ].join("\n")
}

function formLines(form: JsonObject, indent: string): readonly string[] {
  return Object.entries(form).flatMap(([key, found]) => {
    if (isJsonObject(found)) return [`${indent}${key}:`, ...formLines(found, `${indent}  `)]
    const text = Array.isArray(found)
      ? listField(form, key)
          .map((one) => (typeof one === "string" ? harmless(one) : JSON.stringify(one)))
          .join(", ")
      : typeof found === "string"
        ? harmless(found)
        : JSON.stringify(found)
    return [`${indent}${key}: ${text}`]
  })
}
