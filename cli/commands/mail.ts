// Reading and answering mail: inbox, show, publish, reply, take, refuse, outbox, trace.

import { join } from "node:path"
import { ChappeError } from "../../protocol/errors.ts"
import { isMemberName } from "../../protocol/names.ts"
import type { Argument, Command } from "../command.ts"
import {
  type JsonObject,
  isJsonObject,
  numberField,
  objectsField,
  textField,
  wordsField,
} from "../json.ts"
import type { Invocation } from "../invocation.ts"
import {
  escalationText,
  gapText,
  inboxObject,
  inboxText,
  openedText,
  timeText,
} from "../message-view.ts"
import { type NodeClient, asOfficer, idempotencyOption, nodeOptions } from "../node-client.ts"
import { makeFolder } from "../private-files.ts"
import { safeFileName } from "../safe-file-name.ts"
import { harmless } from "../output.ts"
import type { World } from "../world.ts"

const idArgument: Argument = { name: "ID", help: "the message's id, 32 hex digits" }

/** Never anything but hex: it becomes part of a URL. Refused: `usage`. */
function idOf(input: Invocation): string {
  const id = input.argument("ID").toLowerCase()
  if (!/^[0-9a-f]{32}$/u.test(id))
    throw new ChappeError("usage", "a message's id is 32 hex digits, as inbox and outbox show it")
  return id
}

export const inbox: Command = {
  name: "inbox",
  help: "list what has arrived, oldest first",
  arguments: [],
  options: [
    ...nodeOptions,
    { name: "follow", help: "go on as mail arrives, until Ctrl-C" },
    { name: "since", value: "ID", help: "only what came after this message" },
    { name: "unread", help: "only what nobody has opened" },
  ],
  examples: [{ line: "chappe inbox --node lab/nodes/JP --unread", says: "what waits for JP" }],
  async run(input, world) {
    const { output } = world
    const show = (item: JsonObject): void => {
      output.result(inboxObject(item), inboxText(output, item))
    }
    const since = input.text("since")
    if (since !== undefined && !/^[0-9a-f]{32}$/u.test(since))
      throw new ChappeError("usage", "--since is a message's id, 32 hex digits")
    await asOfficer(input, world, async (client) => {
      const query = new URLSearchParams()
      if (since !== undefined) query.set("since", since)
      if (input.flag("unread")) query.set("unread", "true")
      if (input.flag("follow")) {
        for await (const item of client.follow(`/v1/inbox/stream?${query.toString()}`)) show(item)
        return
      }
      const { messages, missing } = await everyPage(client, query)
      for (const item of messages) show(item)
      for (const gap of missing) output.say(gapText(gap))
      if (messages.length === 0) output.say("Nothing.")
    })
    return undefined
  },
}

/** The node gives a page at a time; the last id of one asks for the next. */
async function everyPage(
  client: NodeClient,
  query: URLSearchParams,
): Promise<{ readonly messages: readonly JsonObject[]; readonly missing: readonly JsonObject[] }> {
  const messages: JsonObject[] = []
  for (;;) {
    const answer = await client.get(`/v1/inbox?${query.toString()}`)
    const page = objectsField(answer, "messages")
    const last = page.at(-1)
    const missing = objectsField(answer, "missing")
    if (last === undefined) return { messages, missing }
    messages.push(...page)
    if (query.get("since") === textField(last, "id")) return { messages, missing }
    query.set("since", textField(last, "id"))
  }
}

export const show: Command = {
  name: "show",
  help: "open a message; the sender gets a receipt that you did",
  arguments: [idArgument],
  options: [
    ...nodeOptions,
    {
      name: "save-attachments",
      value: "DIR2",
      help: "save the attachments into this folder",
      offers: "folders",
    },
  ],
  examples: [
    {
      line: "chappe show 0123456789abcdef0123456789abcdef --node lab/nodes/JP --save-attachments files",
      says: "read it and save what is attached, under harmless names",
    },
  ],
  async run(input, world) {
    const id = idOf(input)
    const { output } = world
    const saved = await asOfficer(input, world, async (client) => {
      const item = await client.get(`/v1/messages/${id}`)
      const folder = input.text("save-attachments")
      const files = folder === undefined ? [] : await saveAttachments(client, item, folder)
      return { item, files }
    })
    const files = saved.files.length === 0 ? {} : { saved: saved.files }
    const lines = saved.files.map(({ name, path }) => `saved ${harmless(name)} as ${path}`)
    output.result(
      { ...inboxObject(saved.item), ...files },
      [openedText(output, saved.item), ...lines].join("\n"),
    )
    return undefined
  },
}

type Saved = { readonly name: string; readonly path: string }

/** The sender's file name is only a wish: it never leads out of the folder and never overwrites. */
async function saveAttachments(
  client: NodeClient,
  item: JsonObject,
  folder: string,
): Promise<readonly Saved[]> {
  await makeFolder(folder)
  const saved: Saved[] = []
  const id = textField(item, "id")
  for (const [index, file] of objectsField(item, "attachments").entries()) {
    const name = textField(file, "name")
    const path = await client.downloadBeside(
      { path: `/v1/messages/${id}/attachments/${index}`, sha256: textField(file, "sha256") },
      (copy) => join(folder, safeFileName(name, index, copy)),
    )
    saved.push({ name, path })
  }
  return saved
}

function idempotencyKey(input: Invocation): JsonObject {
  const key = input.text("idempotency-key")
  return key === undefined ? {} : { idempotencyKey: key }
}

async function act(
  input: Invocation,
  world: World,
  verb: "publish" | "reply" | "take" | "refuse",
  body: JsonObject,
): Promise<JsonObject> {
  const id = idOf(input)
  return asOfficer(input, world, (client) => client.post(`/v1/messages/${id}/${verb}`, body))
}

export const publish: Command = {
  name: "publish",
  help: "the desk sends a notice it received to all members, quoted with its source's signatures",
  arguments: [idArgument],
  options: [
    ...nodeOptions,
    { name: "exclude", value: "X,Y", help: "members who must not get it; its source never does" },
    idempotencyOption,
  ],
  examples: [
    {
      line: "chappe publish 0123456789abcdef0123456789abcdef --node lab/nodes/HQ --exclude BR",
      says: "to everybody but BR",
    },
  ],
  async run(input, world) {
    const exclude = input.words("exclude")
    const malformed = exclude.find((name) => !isMemberName(name))
    if (malformed !== undefined)
      throw new ChappeError("unknown-member", `${malformed} is not a member's name`)
    const answer = await act(input, world, "publish", { exclude, ...idempotencyKey(input) })
    const recipients = wordsField(answer, "recipients")
    world.output.result(
      answer,
      `${textField(answer, "id")} published to ${recipients.join(", ")}: ${textField(answer, "state")}.`,
    )
    return undefined
  },
}

export const reply: Command = {
  name: "reply",
  help: "answer a message",
  arguments: [idArgument],
  options: [
    ...nodeOptions,
    { name: "text", value: "T", needed: true, help: "the answer" },
    idempotencyOption,
  ],
  examples: [
    {
      line: "chappe reply 0123456789abcdef0123456789abcdef --node lab/nodes/JP --text 'Seen in Osaka.'",
      says: "to the sender of that message",
    },
  ],
  async run(input, world) {
    const answer = await act(input, world, "reply", {
      text: input.needed("text"),
      ...idempotencyKey(input),
    })
    world.output.result(
      answer,
      `${textField(answer, "id")} to ${wordsField(answer, "recipients").join(", ")}: ${textField(answer, "state")}.`,
    )
    return undefined
  },
}

export const take: Command = {
  name: "take",
  help: "take a message in charge; the sender gets a receipt",
  arguments: [idArgument],
  options: nodeOptions,
  examples: [],
  async run(input, world) {
    const id = idOf(input)
    const answer = await act(input, world, "take", {})
    world.output.result({ id, state: "in-charge", ...answer }, `${id} is in your charge.`)
    return undefined
  },
}

export const refuse: Command = {
  name: "refuse",
  help: "refuse a message, with a reason that the sender reads",
  arguments: [idArgument],
  options: [
    ...nodeOptions,
    { name: "reason", value: "R", needed: true, help: "a word or two, such as not_competent" },
  ],
  examples: [],
  async run(input, world) {
    const id = idOf(input)
    const answer = await act(input, world, "refuse", { reason: input.needed("reason") })
    world.output.result({ id, state: "refused", ...answer }, `${id} is refused.`)
    return undefined
  },
}

export const outbox: Command = {
  name: "outbox",
  help: "list what was sent, and how far it got with each recipient",
  arguments: [],
  options: nodeOptions,
  examples: [{ line: "chappe outbox --node lab/nodes/FR", says: "what became of FR's mail" }],
  async run(input, world) {
    const { output } = world
    const messages = await asOfficer(input, world, async (client) =>
      objectsField(await client.get("/v1/outbox"), "messages"),
    )
    for (const item of messages)
      output.result(
        item,
        [
          output.style("bold", harmless(textField(item, "subject"))),
          `  ${textField(item, "precedence")} ${textField(item, "type")}, ${textField(item, "state")}, ${timeText(item, "created")}`,
          `  ${textField(item, "id")}`,
          output.table(
            objectsField(item, "recipients").map((one) => [
              `    ${textField(one, "member")}`,
              textField(one, "step"),
              timeText(one, "at"),
            ]),
          ),
        ].join("\n"),
      )
    if (messages.length === 0) output.say("Nothing.")
    return undefined
  },
}

export const escalations: Command = {
  name: "escalations",
  help: "the desk's list of messages that were not delivered by their deadline",
  arguments: [],
  options: [
    ...nodeOptions,
    { name: "all", help: "those that were delivered, rejected or have expired since, too" },
  ],
  examples: [
    { line: "chappe escalations --node lab/nodes/HQ", says: "whom to call, the oldest first" },
  ],
  async run(input, world) {
    const { output } = world
    const all = input.flag("all")
    const found = await asOfficer(input, world, (client) =>
      client.get(`/v1/escalations?all=${all}`),
    )
    const items = objectsField(found, "escalations")
    for (const item of items) output.result(item, escalationText(item))
    if (items.length === 0) output.say("Nothing.")
    return undefined
  },
}

function logText(log: JsonObject[string] | undefined): string {
  return isJsonObject(log) ? `${textField(log, "origin")} #${numberField(log, "index")}` : ""
}

export const trace: Command = {
  name: "trace",
  help: "every signed step of a message, who took it and where it was logged",
  arguments: [idArgument],
  options: nodeOptions,
  examples: [],
  async run(input, world) {
    const id = idOf(input)
    const { output } = world
    const found = await asOfficer(input, world, (client) => client.get(`/v1/messages/${id}/trace`))
    const rows = objectsField(found, "steps").map((step) => [
      `  ${textField(step, "step")}`,
      textField(step, "by"),
      textField(step, "recipient"),
      timeText(step, "at"),
      logText(step["log"]),
    ])
    output.result(found, [id, output.table(rows)].join("\n"))
    return undefined
  },
}
