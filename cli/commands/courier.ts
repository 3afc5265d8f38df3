// Mail on a file, for a node whose link is down.

import { link, open, rm } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { sha256 } from "../../keys/crypto.ts"
import { readCourier } from "../../protocol/courier-file.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { isMemberName } from "../../protocol/names.ts"
import { readFileStream } from "../adapters/file-transfer.ts"
import type { Command, Option } from "../command.ts"
import { asChappeError } from "../failure.ts"
import { numberField, textField } from "../json.ts"
import { asOfficer, nodeOptions } from "../node-client.ts"
import { exists, syncFolder } from "../private-files.ts"

const options: readonly Option[] = nodeOptions.map((option) =>
  option.name === "as"
    ? { ...option, help: "the officer who acts; operator unless told otherwise" }
    : option,
)

type Counted = { readonly messages: number; readonly bytes: number }

/** What is in a whole file. Refused: `courier`. */
async function count(pieces: AsyncIterable<Uint8Array>): Promise<Omit<Counted, "bytes">> {
  let messages = 0
  for await (const item of readCourier(pieces, sha256)) messages += item.name === "message" ? 1 : 0
  return { messages }
}

/** Written beside its place and looked through before it has its name. */
async function writeWhole(source: AsyncIterable<unknown>, out: string): Promise<Counted> {
  if (await exists(out)) throw new ChappeError("file-exists", `${out} exists`)
  const partial = `${out}.partial`
  let bytes = 0
  try {
    await rm(partial, { force: true })
    const file = await open(partial, "wx", 0o600)
    try {
      for await (const piece of source) {
        if (!(piece instanceof Uint8Array)) continue
        bytes += piece.length
        await file.writeFile(piece)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    const counted = { ...(await count(readFileStream(partial))), bytes }
    await link(partial, out)
    await syncFolder(dirname(resolve(out)))
    return counted
  } catch (error) {
    throw asChappeError(error)
  } finally {
    await rm(partial, { force: true })
  }
}

export const courierExport: Command = {
  name: "courier export",
  help: "write what waits for a member whose link is down into a file for a courier",
  arguments: [],
  options: [
    ...options,
    { name: "for", value: "MEMBER", needed: true, help: "whose node will take the file in" },
    { name: "out", value: "F", needed: true, help: "a new file", offers: "files" },
  ],
  examples: [
    {
      line: "chappe courier export --node lab/nodes/FR --for JP --out JP.courier",
      says: "sealed mail with its acceptances, attachments, receipts, and the directory",
    },
  ],
  async run(input, world) {
    const member = input.needed("for")
    if (!isMemberName(member)) throw new ChappeError("usage", `${member} is no member's name`)
    const out = input.needed("out")
    const { messages, bytes } = await asOfficer(
      input,
      world,
      async (client) => writeWhole(await client.stream(`/v1/courier/${member}`), out),
      "operator",
    )
    world.output.result(
      { file: out, for: member, parts: messages, bytes },
      `${out} is for ${member}: ${messages} parts, ${bytes} bytes.`,
    )
    return undefined
  },
}

export const courierImport: Command = {
  name: "courier import",
  help: "take in a courier's file; every message is judged as if it came over a link",
  arguments: [{ name: "F", help: "the courier's file", offers: "files" }],
  options,
  examples: [
    { line: "chappe courier import JP.courier --node lab/nodes/JP", says: "twice does no harm" },
  ],
  async run(input, world) {
    const file = input.argument("F")
    // A file that is not whole is not begun.
    await count(readFileStream(file))
    const taken = await asOfficer(
      input,
      world,
      async (client) => client.postStream("/v1/courier", readFileStream(file)),
      "operator",
    )
    const [messages, receipts, refused] = ["messages", "receipts", "refused"].map((field) =>
      numberField(taken, field),
    )
    const said = `From ${textField(taken, "from")}: ${messages} messages and ${receipts} receipts taken, ${refused} refused.`
    world.output.result(taken, said)
    return undefined
  },
}
