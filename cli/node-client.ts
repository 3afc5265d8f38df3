// A node's HTTP API, as an officer's program uses it. The officer's key file is opened by the node; the secret goes to
// loopback only.

import { basename, join } from "node:path"
import type { Readable } from "node:stream"
import { toBase64, utf8 } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"
import { readFileStream, writeStream } from "./adapters/file-transfer.ts"
import { type HttpAnswer, readAnswer, sendRequest } from "./adapters/http-request.ts"
import type { Option } from "./command.ts"
import { answeredError } from "./failure.ts"
import type { Invocation } from "./invocation.ts"
import { type Json, type JsonObject, isJsonObject, parseJson } from "./json.ts"
import { cliLimits } from "./limits.ts"
import { exists, readBytes, readText } from "./private-files.ts"
import { passphraseOption, unlockFor } from "./secret.ts"
import type { World } from "./world.ts"

/** Options of every command that speaks to a node. */
export const idempotencyOption: Option = {
  name: "idempotency-key",
  value: "K",
  help: "the same key again is the same message: safe to repeat after a doubt",
}

export const nodeOptions: readonly Option[] = [
  { name: "node", value: "DIR", needed: true, help: "the node's folder", offers: "folders" },
  { name: "as", value: "OFFICER", help: "the officer who acts; duty unless told otherwise" },
  passphraseOption,
]

/** `sha256` in hex. */
export type FileToSend = {
  readonly path: string
  readonly mediaType: string
  readonly size: number
  readonly sha256: string
}

export class NodeClient {
  readonly #url: string
  readonly #token: string | undefined

  constructor(url: string, token?: string) {
    this.#url = url
    this.#token = token
  }

  /** Refused: `node-down`. */
  static async at(dir: string): Promise<NodeClient> {
    const file = join(dir, "run", "api.json")
    if (!(await exists(join(dir, "node.toml"))))
      throw new ChappeError("file-unreadable", `${dir} is not a node's folder`)
    if (!(await exists(file))) throw new ChappeError("node-down", `${dir}: no process is running`)
    const found = parseJson(await readText(file, cliLimits.secretFileBytesMax), "run/api.json")
    const url = isJsonObject(found) ? found["url"] : undefined
    if (typeof url !== "string") throw new ChappeError("config", "run/api.json has no url")
    return new NodeClient(url)
  }

  /** A session for an officer. Refused: `unknown-officer`, `passphrase`, `officer-revoked`, `key-expired`. */
  async signIn(officer: string, secret: Uint8Array): Promise<NodeClient> {
    const found = await this.post("/v1/sessions", { officer, secret: toBase64(secret) })
    const token = found["token"]
    if (typeof token !== "string") throw new ChappeError("internal", "the node gave no session")
    return new NodeClient(this.#url, token)
  }

  async signOut(): Promise<void> {
    if (this.#token === undefined) return
    const answer = await this.#send("DELETE", "/v1/sessions/current", {})
    answer.body.resume()
  }

  async get(path: string): Promise<JsonObject> {
    return this.#json(await this.#send("GET", path, {}))
  }

  /** The answer as it came, for files that are kept as they are. */
  async getText(path: string): Promise<string> {
    const answer = await this.#send("GET", path, {})
    if (answer.status >= 300) await this.#json(answer)
    return new TextDecoder().decode(await readAnswer(answer, cliLimits.responseBytesMax))
  }

  async post(path: string, body: Json): Promise<JsonObject> {
    const bytes = utf8(JSON.stringify(body))
    return this.#json(
      await this.#send("POST", path, {
        body: bytes,
        headers: { "content-type": "application/json" },
      }),
    )
  }

  /** Each line of a stream of JSON objects, until it ends. */
  async *follow(path: string): AsyncGenerator<JsonObject> {
    const answer = await this.#send("GET", path, { timeoutMs: 0 })
    if (answer.status >= 300) await this.#json(answer)
    let left = ""
    const decoder = new TextDecoder()
    try {
      for await (const part of answer.body) {
        left += decoder.decode(part instanceof Uint8Array ? part : utf8(String(part)), {
          stream: true,
        })
        const lines = left.split("\n")
        left = lines.pop() ?? ""
        for (const line of lines.filter((item) => item.trim() !== "")) {
          const found = parseJson(line, "the node's answer")
          if (isJsonObject(found)) yield found
        }
      }
    } catch (error) {
      if (error instanceof ChappeError) throw error
      throw new ChappeError("node-down", "the node closed the connection", { cause: error })
    }
  }

  /** The body of an answer as it comes; whoever reads it checks that it is whole. */
  async stream(path: string): Promise<Readable> {
    const answer = await this.#send("GET", path, { timeoutMs: 0 })
    if (answer.status >= 300) await this.#json(answer)
    return answer.body
  }

  /** Sends a stream of bytes, and gives the answer. */
  async postStream(path: string, body: Readable): Promise<JsonObject> {
    const headers = { "content-type": "application/octet-stream" }
    return await this.#json(await this.#send("POST", path, { body, headers, timeoutMs: 0 }))
  }

  /** Streams a file whose size and hash are known. Its id at the node. */
  async upload({ path, mediaType, size, sha256 }: FileToSend): Promise<string> {
    const query = new URLSearchParams({
      name: basename(path),
      mediaType,
      size: String(size),
      sha256,
    })
    const answer = await this.#send("POST", `/v1/attachments?${query.toString()}`, {
      headers: { "content-type": "application/octet-stream", "content-length": String(size) },
      body: readFileStream(path),
    })
    const id = (await this.#json(answer))["attachment"]
    if (typeof id !== "string") throw new ChappeError("internal", "the node gave no attachment id")
    return id
  }

  /** Saves under the first of the names that is free: `name(0)`, `name(1)`, …; which one. Refused: `tampered`. */
  async downloadBeside(
    file: { readonly path: string; readonly sha256: string },
    name: (copy: number) => string,
  ): Promise<string> {
    let copy = 0
    while (await exists(name(copy))) copy += 1
    const target = name(copy)
    const answer = await this.#send("GET", file.path, { timeoutMs: 0 })
    if (answer.status >= 300) await this.#json(answer)
    await writeStream(answer.body, target, file.sha256)
    return target
  }

  async #send(
    method: "GET" | "POST" | "DELETE",
    path: string,
    item: {
      readonly body?: Uint8Array | Readable
      readonly headers?: Readonly<Record<string, string>>
      readonly timeoutMs?: number
    },
  ): Promise<HttpAnswer> {
    const session = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }
    try {
      return await sendRequest({
        method,
        url: this.#url + path,
        headers: { ...item.headers, ...session },
        timeoutMs: item.timeoutMs ?? cliLimits.requestMs,
        ...(item.body === undefined ? {} : { body: item.body }),
      })
    } catch (error) {
      if (error instanceof ChappeError && error.code === "link-down")
        throw new ChappeError("node-down", error.message, { cause: error })
      throw error
    }
  }

  async #json(answer: HttpAnswer): Promise<JsonObject> {
    const bytes = await readAnswer(answer, cliLimits.responseBytesMax)
    if (answer.status < 300 && bytes.length === 0) return {}
    const text = new TextDecoder().decode(bytes)
    if (answer.status >= 300)
      throw answeredError(
        text,
        new ChappeError("internal", `the node answered with status ${answer.status}`),
      )
    const found = parseJson(text, "the node's answer")
    if (!isJsonObject(found))
      throw new ChappeError("internal", "the node's answer is not an object")
    return found
  }
}

/** Runs `work` in a session of the officer that `--as` names, and ends the session. */
export async function asOfficer<T>(
  input: Invocation,
  world: World,
  work: (client: NodeClient) => Promise<T>,
  otherwise = "duty",
): Promise<T> {
  const dir = input.needed("node")
  const officer = officerName(input.text("as") ?? otherwise)
  const client = await NodeClient.at(dir)
  const keyFile = join(dir, "officers", `${officer}.key`)
  if (!(await exists(keyFile)))
    throw new ChappeError("unknown-officer", `${officer} has no key file in ${dir}/officers`)
  const unlock = await unlockFor(world, {
    keyFile,
    passphraseFile: input.text("passphrase-file"),
    ask: `Passphrase of ${officer}:`,
  })
  const secret = unlock.kind === "secret" ? unlock.secret : utf8(unlock.passphrase)
  const session = await client.signIn(officer, secret)
  try {
    return await work(session)
  } finally {
    await session.signOut().catch((error: unknown) => {
      // A session that cannot be ended ends by itself; the work's own result counts.
      if (!(error instanceof ChappeError)) throw error
    })
  }
}

/**
 * Runs `work` as the node's operator, whose secret lies beside the key on unattended machines. Refused: `node-down`
 * where there is no process or no such secret.
 */
export async function asOperator<T>(
  dir: string,
  work: (client: NodeClient) => Promise<T>,
): Promise<T> {
  const secretFile = join(dir, "officers", "operator.secret")
  const client = await NodeClient.at(dir)
  if (!(await exists(secretFile)))
    throw new ChappeError("node-down", `${dir} has no operator's secret to ask the node with`)
  const session = await client.signIn(
    "operator",
    await readBytes(secretFile, cliLimits.secretFileBytesMax),
  )
  try {
    return await work(session)
  } finally {
    await session.signOut()
  }
}

/** `FR/duty` and `duty` are the same officer. Never a path. */
export function officerName(text: string): string {
  const name = text.slice(text.indexOf("/") + 1)
  if (!/^[a-z0-9.-]{1,32}$/u.test(name) || name.startsWith("."))
    throw new ChappeError("usage", "an officer's name is 1 to 32 of a-z, 0-9, dot and hyphen")
  return name
}
