// A log served over HTTP(S) under the tlog-tiles paths.

import { X509Certificate } from "node:crypto"
import { type IncomingMessage, request as httpRequest } from "node:http"
import { Agent, type AgentOptions, type RequestOptions, request as httpsRequest } from "node:https"
import type { PeerCertificate } from "node:tls"
import { equalBytes } from "../../protocol/bytes.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { auditLimits } from "../limits.ts"
import type { LogSource } from "../log-source.ts"

/** Whom to believe that this is the server: the system's authorities, others, or one certificate (PEM). */
export type ServerTrust =
  | { readonly kind: "system" }
  | { readonly kind: "authorities"; readonly pem: string }
  | { readonly kind: "certificate"; readonly pem: string }

export type UrlSourceOptions = {
  /** The log's prefix; `checkpoint` and `tile/…` stand below it. */
  readonly url: string
  readonly trust?: ServerTrust
  /** The `Authorization` header for a path below the server's root. */
  readonly authorization?: (path: string) => string
  /** Certificate and key in PEM, with which the auditor shows who it is. */
  readonly client?: { readonly certificatePem: string; readonly keyPem: string }
}

/** The log at a URL. Redirects are not followed, and compressed answers are refused. */
export class UrlSource implements LogSource {
  readonly #prefix: URL
  readonly #options: RequestOptions
  readonly #agent: Agent | undefined
  readonly #authorization: UrlSourceOptions["authorization"]

  constructor(options: UrlSourceOptions) {
    this.#prefix = new URL(options.url.endsWith("/") ? options.url : `${options.url}/`)
    const secure = this.#prefix.protocol === "https:"
    if (!secure && this.#prefix.protocol !== "http:")
      throw new ChappeError("usage", "a log's URL begins with https:// or http://")
    if (!secure && (options.authorization !== undefined || options.client !== undefined))
      throw new ChappeError("usage", "credentials are sent over https only")
    this.#agent = secure ? new Agent({ keepAlive: true, ...tlsOptions(options) }) : undefined
    this.#options = { timeout: auditLimits.requestMs }
    this.#authorization = options.authorization
  }

  async read(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
    const answer = await this.#get(path)
    try {
      if (answer.statusCode === 404) return undefined
      if (answer.statusCode !== 200)
        throw new ChappeError("unverified", `${path}: the server answers ${answer.statusCode}`)
      if (answer.headers["content-encoding"] !== undefined)
        throw new ChappeError("unverified", `${path}: the server answers compressed`)
      return await collect(answer, path, bytesMax)
    } finally {
      answer.destroy()
    }
  }

  /** A server does not list its tiles. */
  tilePaths(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  /** Ends idle connections. */
  close(): void {
    this.#agent?.destroy()
  }

  #get(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const url = new URL(path, this.#prefix)
      const fail = (cause?: unknown): void =>
        reject(new ChappeError("unverified", `${path}: the server cannot be reached`, { cause }))
      const authorization = this.#authorization?.(url.pathname)
      const headers = {
        "accept-encoding": "identity",
        ...(authorization === undefined ? {} : { authorization }),
      }
      const options = { ...this.#options, headers }
      const request =
        this.#agent === undefined
          ? httpRequest(url, options, resolve)
          : httpsRequest(url, { ...options, agent: this.#agent }, resolve)
      request.on("timeout", () => request.destroy(new Error("no answer in time")))
      request.on("error", fail)
      request.end()
    })
  }
}

async function collect(
  answer: IncomingMessage,
  path: string,
  bytesMax: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  try {
    for await (const part of answer) {
      if (!(part instanceof Uint8Array)) throw new TypeError("an answer is read as bytes")
      length += part.length
      if (length > bytesMax)
        throw new ChappeError("log-file", `${path} has more than ${bytesMax} bytes`)
      parts.push(part)
    }
  } catch (cause) {
    if (cause instanceof ChappeError || cause instanceof TypeError) throw cause
    throw new ChappeError("unverified", `${path}: the answer broke off`, { cause })
  }
  return new Uint8Array(Buffer.concat(parts))
}

function tlsOptions(options: UrlSourceOptions): AgentOptions {
  const client =
    options.client === undefined
      ? {}
      : { cert: options.client.certificatePem, key: options.client.keyPem }
  const trust = options.trust ?? { kind: "system" }
  switch (trust.kind) {
    case "system":
      return { minVersion: "TLSv1.2", ...client }
    case "authorities":
      return { minVersion: "TLSv1.2", ca: trust.pem, ...client }
    case "certificate":
      return { minVersion: "TLSv1.2", ...pinned(trust.pem), ...client }
  }
}

/** Exactly this certificate, whatever name it bears: a self-signed one is its own authority. */
function pinned(pem: string): AgentOptions {
  const wanted = new Uint8Array(new X509Certificate(pem).raw)
  return {
    ca: pem,
    checkServerIdentity: (_host: string, shown: PeerCertificate) =>
      equalBytes(new Uint8Array(shown.raw), wanted)
        ? undefined
        : new Error("the server shows another certificate"),
  }
}
