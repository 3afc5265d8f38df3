// A relay's HTTPS listener, for first contact: before the directory knows this node's link key, statements
// that authenticate themselves are posted here, and the directory log is read with the link certificate.

import { request } from "node:https"
import { makeLinkCertificate } from "../../keys/link-certificate.ts"
import { fromUtf8 } from "../../protocol/bytes.ts"
import { parseCheckpointText } from "../../protocol/checkpoint.ts"
import { encodePostedStatement } from "../../protocol/directory-bundle.ts"
import type { StatementKind } from "../../protocol/directory.ts"
import { ChappeError, isErrorCode } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { decodeBundle, tilePath, tileWidth, widthAt } from "../../protocol/tiles.ts"
import type { TrustedRelay } from "../../protocol/trust-file.ts"
import type { DirectoryFollower } from "../core/directory-follower.ts"
import type { RelayDoor } from "../core/first-contact.ts"
import type { Clock, Random } from "../core/ports.ts"
import { nodeLimits } from "../limits.ts"

export type HttpsRelayOptions = {
  readonly me: string
  readonly clock: Clock
  readonly random: Random
  /** The seed of the link key to show. */
  readonly linkSecret: () => Uint8Array
}

export class HttpsRelay implements RelayDoor {
  readonly name: string
  readonly #trusted: TrustedRelay
  readonly #options: HttpsRelayOptions

  constructor(trusted: TrustedRelay, options: HttpsRelayOptions) {
    this.name = trusted.name
    this.#trusted = trusted
    this.#options = options
  }

  async postStatement(kind: StatementKind, statement: Uint8Array): Promise<void> {
    await this.#exchange(
      "POST",
      "/statements",
      encodePostedStatement({ version: 1, kind, statement }),
    )
  }

  async readDirectory(follower: DirectoryFollower): Promise<void> {
    const note = await this.#exchange("GET", "/directory/checkpoint")
    const { origin, size } = parseCheckpointText(parseNote(note).text)
    if (!origin.startsWith(`${this.name}/`))
      throw new ChappeError("note", `${this.name} shows a log that is not its own`)
    while (follower.sizeOf(origin) < size) {
      const from = follower.sizeOf(origin)
      const index = Math.floor(from / tileWidth)
      const width = widthAt(size, 0, index)
      const path = `/directory/${tilePath({ kind: "entries", index, width })}`
      const bundle = decodeBundle(await this.#exchange("GET", path), width)
      await follower.take(origin, from, bundle.slice(from % tileWidth))
      if (follower.sizeOf(origin) === from)
        throw new ChappeError("log-file", `${origin} has no entry ${from}`)
    }
    await follower.confirmCheckpoint(follower.open(note, origin), note)
  }

  #exchange(method: "GET" | "POST", path: string, body?: Uint8Array): Promise<Uint8Array> {
    const { me, clock, random, linkSecret } = this.#options
    const { certPem, keyPem } = makeLinkCertificate({
      name: me,
      seed: linkSecret(),
      serial: random(16),
      notBefore: clock.seconds() - limits.secondsPerDay,
    })
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown): void => {
        const known = cause instanceof ChappeError
        reject(known ? cause : new ChappeError("link-down", `${this.name} is silent`, { cause }))
      }
      const outgoing = request(`${this.#trusted.url}${path}`, {
        method,
        headers: body === undefined ? {} : { "content-type": "application/octet-stream" },
        ca: this.#trusted.certificate,
        cert: certPem,
        key: keyPem,
        minVersion: "TLSv1.3",
        agent: false,
        timeout: nodeLimits.httpsTimeoutMs,
      })
      outgoing.once("error", fail)
      outgoing.once("timeout", () => outgoing.destroy(new ChappeError("link-down")))
      outgoing.once("response", (answer) => {
        const parts: Uint8Array[] = []
        let length = 0
        answer.on("data", (part: Uint8Array) => {
          length += part.length
          if (length > nodeLimits.httpsAnswerBytesMax) outgoing.destroy(new ChappeError("size"))
          else parts.push(part)
        })
        answer.once("error", fail)
        answer.once("end", () => {
          const bytes = new Uint8Array(Buffer.concat(parts))
          if ((answer.statusCode ?? 0) < 300) resolve(bytes)
          else reject(refusal(this.name, answer.statusCode ?? 0, bytes))
        })
      })
      outgoing.end(body)
    })
  }
}

function refusal(relay: string, status: number, body: Uint8Array): ChappeError {
  const message = `${relay} answers with status ${status}`
  try {
    const found: unknown = JSON.parse(fromUtf8(body))
    if (typeof found === "object" && found !== null && "error" in found) {
      const { error } = found
      if (typeof error === "object" && error !== null && "code" in error) {
        const code = String(error.code)
        if (isErrorCode(code)) return new ChappeError(code, message)
      }
    }
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof ChappeError)) throw cause
  }
  return new ChappeError("link-down", message)
}
