import type { Command } from "../command.ts"
import { parseDuration } from "../duration.ts"
import { type JsonObject, parseDocument, textField, wordsField } from "../json.ts"
import type { Invocation } from "../invocation.ts"
import { cliLimits } from "../limits.ts"
import { mediaTypeOf } from "../media-type.ts"
import { type FileToSend, asOfficer, idempotencyOption, nodeOptions } from "../node-client.ts"
import { precedences } from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { isMemberName } from "../../protocol/names.ts"
import { hashFile } from "../adapters/file-transfer.ts"
import { readText } from "../private-files.ts"

const types = ["message", "notice", "diffusion"] as const
const defaultLife = "7d"

function membersOf(input: Invocation, option: string): readonly string[] {
  const words = input.words(option)
  const malformed = words.find((word) => !isMemberName(word))
  if (malformed !== undefined)
    throw new ChappeError("unknown-member", `--${option}: ${malformed} is not a member's name`)
  return words
}

function lifeOf(input: Invocation): number {
  const seconds = parseDuration(input.text("expires") ?? defaultLife)
  if (seconds < 1 || seconds > limits.lifetimeSecondsMax)
    throw new ChappeError("usage", "--expires is at most 14d")
  return seconds
}

/** `--text`, `--text-file` or neither. Refused: `usage` for both. */
async function textOf(input: Invocation): Promise<string | undefined> {
  const file = input.text("text-file")
  if (file === undefined) return input.text("text")
  if (input.text("text") !== undefined)
    throw new ChappeError("usage", "--text and --text-file exclude each other")
  return readText(file, cliLimits.textFileBytesMax)
}

async function formOf(input: Invocation): Promise<JsonObject | undefined> {
  const file = input.text("document")
  return file === undefined
    ? undefined
    : parseDocument(await readText(file, cliLimits.documentFileBytesMax))
}

const withoutAbsent = (fields: Readonly<Record<string, JsonObject[string] | undefined>>) => {
  const present: Record<string, JsonObject[string]> = {}
  for (const [key, found] of Object.entries(fields)) if (found !== undefined) present[key] = found
  return present
}

export const send: Command = {
  name: "send",
  help: "send a message, a notice (to the HQ desk) or a diffusion; returns when a relay has it durably",
  arguments: [],
  options: [
    ...nodeOptions,
    { name: "to", value: "JP,BR", help: "members who are to act; a notice goes to the HQ desk" },
    { name: "info", value: "CO", help: "members who get it for information" },
    { name: "type", value: types.join("|"), help: "message unless told otherwise", offers: types },
    { name: "subject", value: "S", needed: true, help: "one line, up to 150 characters" },
    { name: "text", value: "T", help: "the text, up to 50,000 characters" },
    { name: "text-file", value: "F", help: "the text from a UTF-8 file", offers: "files" },
    {
      name: "document",
      value: "F.json",
      help: "a structured form: whole numbers only, amounts as text",
      offers: "files",
    },
    { name: "attach", value: "F", many: true, help: "a file of up to 2 GB", offers: "files" },
    {
      name: "precedence",
      value: precedences.toReversed().join("|"),
      help: "routine unless told otherwise",
      offers: precedences,
    },
    { name: "our-ref", value: "R", help: "your own reference" },
    { name: "your-ref", value: "R", help: "the recipient's reference" },
    { name: "expires", value: defaultLife, help: "how long relays keep trying, at most 14d" },
    idempotencyOption,
  ],
  examples: [
    {
      line: "chappe send --node lab/nodes/FR --to JP --subject 'Case 12' --text 'Please check the plate.'",
      says: "a case message that only JP can open",
    },
    {
      line: "chappe send --node lab/nodes/FR --type notice --subject 'Missing child' --document yellow.json --attach photo.png",
      says: "a notice request to the HQ desk",
    },
    {
      line: "chappe send --node lab/nodes/FR --type diffusion --to JP,BR --subject 'Wanted vehicle' --precedence immediate",
      says: "a diffusion to two members and the desk",
    },
  ],
  async run(input, world) {
    const type = input.choice("type", types) ?? "message"
    const to = membersOf(input, "to")
    const info = membersOf(input, "info")
    if (to.length === 0 && type !== "notice") throw new ChappeError("usage", `a ${type} needs --to`)
    const precedence = input.choice("precedence", precedences) ?? "routine"
    const expiresSeconds = lifeOf(input)
    const text = await textOf(input)
    const form = await formOf(input)
    // All files are read once before any is sent: what is missing is known at the start.
    const files: FileToSend[] = []
    for (const path of input.texts("attach"))
      files.push({ path, mediaType: mediaTypeOf(path), ...(await hashFile(path)) })

    const answer = await asOfficer(input, world, async (client) => {
      const attachments: string[] = []
      for (const file of files) attachments.push(await client.upload(file))
      return client.post(
        "/v1/messages",
        withoutAbsent({
          type,
          to,
          info,
          subject: input.needed("subject"),
          text,
          form,
          attachments,
          precedence,
          ourRef: input.text("our-ref"),
          yourRef: input.text("your-ref"),
          expiresSeconds,
          idempotencyKey: input.text("idempotency-key"),
        }),
      )
    })
    const id = textField(answer, "id")
    const state = textField(answer, "state")
    const recipients = wordsField(answer, "recipients")
    const words =
      state === "queued"
        ? "No relay can be reached now; it is kept and goes by itself."
        : "A relay has it durably."
    world.output.result(
      { id, state, recipients },
      `${id} to ${recipients.join(", ")}: ${state}. ${words}`,
    )
    return undefined
  },
}
