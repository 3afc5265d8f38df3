// One HTTP request, answered as a stream: neither the file that goes out nor the one that comes in is held
// in memory.

import { type IncomingMessage, request as httpRequest } from "node:http"
import { request as httpsRequest } from "node:https"
import { Readable } from "node:stream"
import { ChappeError } from "../../protocol/errors.ts"
import { systemCode } from "../failure.ts"

export type HttpRequest = {
  readonly method: "GET" | "POST" | "DELETE"
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | Readable
  /** The only certificate that counts, in PEM; for https. */
  readonly certificate?: string
  /** With which the asker shows who it is; for https. */
  readonly client?: { readonly certPem: string; readonly keyPem: string }
  /** A Unix socket to go through instead of the URL's host. */
  readonly socketPath?: string
  /** Silence for so long ends the request. Zero: never. */
  readonly timeoutMs: number
}

export type HttpAnswer = { readonly status: number; readonly body: IncomingMessage }

/** Refused: `link-down`, also for a certificate that is not the pinned one. */
export function sendRequest(item: HttpRequest): Promise<HttpAnswer> {
  const { method, url, headers, body, certificate, client, socketPath, timeoutMs } = item
  return new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? httpsRequest : httpRequest
    const tls = {
      ...(certificate === undefined ? {} : { ca: certificate }),
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    }
    const through = socketPath === undefined ? {} : { socketPath }
    const options = {
      method,
      headers: { ...headers },
      timeout: timeoutMs,
      agent: false,
      ...tls,
      ...through,
    }
    const outgoing = send(url, options, (answer) => {
      resolve({ status: answer.statusCode ?? 0, body: answer })
      // An answer that comes before the body is out is a refusal: the rest is not sent.
      if (body instanceof Readable && !outgoing.writableEnded) {
        body.unpipe(outgoing)
        body.destroy()
      }
    })
    const fail = (cause: unknown): void => {
      const why = systemCode(cause) ?? "the connection failed"
      const { host } = new URL(url)
      reject(
        cause instanceof ChappeError
          ? cause
          : new ChappeError("link-down", `${host}: ${why}`, { cause }),
      )
    }
    outgoing.on("error", fail)
    outgoing.once("timeout", () => {
      outgoing.destroy(new ChappeError("link-down", `${new URL(url).host} is silent`))
    })
    if (body === undefined || body instanceof Uint8Array) {
      outgoing.end(body)
      return
    }
    body.once("error", (error) => {
      outgoing.destroy(error)
    })
    body.pipe(outgoing)
  })
}

/** A whole small answer. Refused: `size`, `link-down`. */
export async function readAnswer(answer: HttpAnswer, bytesMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const part of answer.body) {
      if (!(part instanceof Uint8Array)) continue
      length += part.length
      if (length > bytesMax)
        throw new ChappeError("size", `an answer of more than ${bytesMax} bytes`)
      parts.push(part)
    }
  } catch (error) {
    if (error instanceof ChappeError) throw error
    throw new ChappeError("link-down", "the answer was cut short", { cause: error })
  }
  return new Uint8Array(Buffer.concat(parts))
}
