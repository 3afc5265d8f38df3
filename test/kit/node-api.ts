// An officer's session at a node's HTTP interface, as a case system would hold one. It finds the node
// again after a restart and signs in anew.

import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Readable } from "node:stream"
import { setTimeout as pause } from "node:timers/promises"
import type { Json } from "./command.ts"

const retryMs = 50
const pageSize = 500

export class NodeApi {
  readonly #dir: string
  readonly #officer: string
  #session: { readonly url: string; readonly token: string } | undefined

  constructor(dir: string, officer: string) {
    this.#dir = dir
    this.#officer = officer
  }

  /** Asks until the node answers; a session that ended with its process is renewed. */
  async call(method: string, path: string, body?: unknown): Promise<Json> {
    for (;;) {
      const answer = await this.#attempt(method, path, body)
      if (answer !== undefined) return answer
      await pause(retryMs)
    }
  }

  /** Uploads a file as it is read; the id that a message names it by. */
  async attach(
    file: string,
    words: { readonly name: string; readonly size: number; readonly sha256: string },
  ): Promise<string> {
    return this.#upload(words, Readable.toWeb(createReadStream(file)))
  }

  async #upload(
    words: { readonly name: string; readonly size: number; readonly sha256: string },
    body: ReadableStream | Uint8Array,
  ): Promise<string> {
    this.#session ??= await this.#signIn()
    const { url, token } = this.#session
    const query = new URLSearchParams({
      name: words.name,
      mediaType: "application/octet-stream",
      size: String(words.size),
      sha256: words.sha256,
    })
    const response = await fetch(`${url}/v1/attachments?${query.toString()}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/octet-stream",
        "content-length": String(words.size),
      },
      body,
      duplex: "half",
    })
    const answer = (await response.json()) as Json
    if (!response.ok) throw new Error(JSON.stringify(answer))
    return String(answer["attachment"])
  }

  /** Uploads bytes; the id that a message names them by. */
  async attachBytes(name: string, bytes: Uint8Array): Promise<string> {
    const words = { name, size: bytes.length, sha256: sha256Hex(bytes) }
    return this.#upload(words, bytes)
  }

  /** SHA-256 of an attachment as the officer gets it. */
  async attachmentDigest(id: string, index: number): Promise<string> {
    this.#session ??= await this.#signIn()
    const { url, token } = this.#session
    const response = await fetch(`${url}/v1/messages/${id}/attachments/${index}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (!response.ok) throw refusalOf((await response.json()) as Json)
    return sha256Hex(new Uint8Array(await response.arrayBuffer()))
  }

  /** The inbox, oldest first; all of it, or what came after a message. */
  async inbox(after?: string): Promise<readonly Json[]> {
    const all: Json[] = []
    for (let since = after === undefined ? "" : `&since=${after}`; ;) {
      const page = await this.call("GET", `/v1/inbox?limit=${pageSize}${since}`)
      const messages = page["messages"] as readonly Json[]
      all.push(...messages)
      const last = messages.at(-1)
      if (last === undefined || messages.length < pageSize) return all
      since = `&since=${String(last["id"])}`
    }
  }

  /** Resolves once a message like this is in the inbox. */
  async inboxMessage(wanted: (message: Json) => boolean): Promise<Json> {
    for (;;) {
      const found = (await this.inbox()).find(wanted)
      if (found !== undefined) return found
      await pause(retryMs)
    }
  }

  /** The steps known of a sent message, once `step` is among them. */
  async stepsOf(id: string, step: string): Promise<readonly Json[]> {
    for (;;) {
      const trace = await this.call("GET", `/v1/messages/${id}/trace`)
      const steps = trace["steps"] as readonly Json[]
      const logged = steps.find((item) => item["step"] === step)
      if (logged !== undefined) return steps
      await pause(retryMs)
    }
  }

  async #attempt(method: string, path: string, body: unknown): Promise<Json | undefined> {
    try {
      // A node that was just started may not know its officers yet.
      this.#session ??= await this.#signIn().catch(() => undefined)
      if (this.#session === undefined) return undefined
      const { url, token } = this.#session
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer = (await response.json()) as Json
      if (response.ok) return answer
      const refusal = refusalOf(answer)
      // After a failed disk the process ends; its supervisor starts it again.
      if (!["unauthenticated", "storage", "disk-full"].includes(refusal.code)) throw refusal
      this.#session = undefined
      return undefined
    } catch (error) {
      if (error instanceof ApiError) throw error
      // The process is down; its supervisor starts it again.
      this.#session = undefined
      return undefined
    }
  }

  /** What the node says to this officer's signing in: `ok`, or the error's code. */
  async signInCode(): Promise<string> {
    try {
      await this.#signIn()
      return "ok"
    } catch (error) {
      if (error instanceof ApiError) return error.code
      throw error
    }
  }

  /** A session's token, for whoever speaks HTTP itself. */
  async token(): Promise<string> {
    this.#session ??= await this.#signIn()
    return this.#session.token
  }

  async #signIn(): Promise<{ readonly url: string; readonly token: string }> {
    const api = JSON.parse(await readFile(join(this.#dir, "run", "api.json"), "utf8")) as Json
    const secret = await readFile(join(this.#dir, "officers", `${this.#officer}.secret`))
    const url = String(api["url"])
    const response = await fetch(`${url}/v1/sessions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ officer: this.#officer, secret: secret.toString("base64") }),
    })
    const session = (await response.json()) as Json
    if (!response.ok) throw refusalOf(session)
    return { url, token: String(session["token"]) }
  }
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

function refusalOf(answer: Json): ApiError {
  const { code } = answer["error"] as { readonly code: string }
  return new ApiError(code, JSON.stringify(answer))
}

export class ApiError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}
