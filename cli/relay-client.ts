// A relay's HTTPS listener: reading its directory log, posting statements and join requests.
// docs/PROTOCOL.md, "HTTPS".

import { dirname, join } from "node:path"
import { crypto, sha256 } from "../keys/crypto.ts"
import { generateKeyPair } from "../keys/ed25519.ts"
import type { KeyEntry } from "../keys/key-file.ts"
import { type LinkCertificate, makeLinkCertificate } from "../keys/link-certificate.ts"
import { auditorMessage, formatAuditorAuthorization } from "../protocol/auditor-authorization.ts"
import { toHex } from "../protocol/bytes.ts"
import { openCheckpoint, parseCheckpointText } from "../protocol/checkpoint.ts"
import { encodePostedStatement } from "../protocol/directory-bundle.ts"
import type { StatementKind } from "../protocol/directory.ts"
import { Directory } from "../protocol/directory.ts"
import { readDirectoryTail } from "../protocol/directory-tail.ts"
import { ChappeError } from "../protocol/errors.ts"
import { limits } from "../protocol/limits.ts"
import type { TrustAnchor } from "../protocol/roster.ts"
import { parseNote } from "../protocol/signed-note.ts"
import { decodeBundle, tilePath, tileWidth, widthAt } from "../protocol/tiles.ts"
import { emptyRange } from "../protocol/tree.ts"
import { type TrustFile, type TrustedRelay, parseTrustFile } from "../protocol/trust-file.ts"
import { parseVerifierKey } from "../protocol/verifier-key.ts"
import { readAnswer, sendRequest } from "./adapters/http-request.ts"
import { answeredError } from "./failure.ts"
import { cliLimits } from "./limits.ts"
import { readText } from "./private-files.ts"
import { openKeys } from "./secret.ts"
import { type World, nowSeconds } from "./world.ts"

/** How a reader shows who it is: headers for one request, or a link key that the directory knows. */
export type Credential = {
  readonly headers: (method: string, path: string) => Readonly<Record<string, string>>
  readonly client?: LinkCertificate
}

/** An invitation's token: opens the directory log. */
export function tokenCredential(token: Uint8Array): Credential {
  return { headers: () => ({ authorization: `Bearer ${toHex(token)}` }) }
}

/** A node's own link key. `entry`: from its key file. */
export function linkCredential(world: World, name: string, entry: KeyEntry): Credential {
  const client = makeLinkCertificate({
    name,
    seed: entry.secret,
    serial: world.random(16),
    notBefore: nowSeconds(world) - limits.clockSkewSecondsMax,
  })
  return { headers: () => ({}), client }
}

/** The auditor that a trust file names. Refused: `config` where it names none. */
export async function auditorCredential(
  world: World,
  trustFile: string,
  trust: TrustFile,
): Promise<Credential> {
  const { auditor } = trust
  if (auditor === undefined)
    throw new ChappeError("config", `${trustFile} names no auditor's key to read the log with`)
  const entries = await openKeys(world, join(dirname(trustFile), auditor.keyFile))
  const entry = entries.find(({ use }) => use === "auditor")
  if (entry === undefined) throw new ChappeError("key-file", "it holds no auditor's key")
  const { sign } = generateKeyPair(entry.secret)
  const headers: Credential["headers"] = (method, path) => {
    const time = nowSeconds(world)
    const signature = sign(auditorMessage({ method, path, time }))
    const item = { name: auditor.name, time, signature }
    return { authorization: formatAuditorAuthorization(item) }
  }
  return { headers }
}

export async function readTrust(path: string): Promise<TrustFile> {
  return parseTrustFile(await readText(path, cliLimits.statementFileBytesMax))
}

async function exchange(
  relay: TrustedRelay,
  item: {
    readonly method: "GET" | "POST"
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: Uint8Array
    readonly client?: LinkCertificate
  },
): Promise<Uint8Array> {
  const { method, path, headers, body, client } = item
  const answer = await sendRequest({
    method,
    url: relay.url + path,
    headers:
      body === undefined ? headers : { ...headers, "content-type": "application/octet-stream" },
    ...(body === undefined ? {} : { body }),
    certificate: relay.certificate,
    ...(client === undefined ? {} : { client }),
    timeoutMs: cliLimits.requestMs,
  })
  const bytes = await readAnswer(answer, cliLimits.responseBytesMax)
  if (answer.status >= 300)
    throw answeredError(
      new TextDecoder().decode(bytes),
      new ChappeError("link-down", `the relay answered with status ${answer.status}`),
    )
  return bytes
}

export async function postStatement(
  relay: TrustedRelay,
  kind: StatementKind,
  statement: Uint8Array,
): Promise<void> {
  const body = encodePostedStatement({ version: 1, kind, statement })
  await exchange(relay, { method: "POST", path: "/statements", headers: {}, body })
}

export async function postJoin(
  relay: TrustedRelay,
  token: Uint8Array,
  request: Uint8Array,
): Promise<void> {
  const headers = tokenCredential(token).headers("POST", "/join")
  await exchange(relay, { method: "POST", path: "/join", headers, body: request })
}

/**
 * A relay's directory as its log proves it: every statement judged from the trust anchor on, the whole
 * folded and compared with the checkpoint that the log's key signed.
 */
export async function fetchDirectory(
  relay: TrustedRelay,
  anchor: TrustAnchor,
  credential: Credential,
): Promise<Directory> {
  const get = (path: string): Promise<Uint8Array> =>
    exchange(relay, {
      method: "GET",
      path,
      headers: credential.headers("GET", path),
      ...(credential.client === undefined ? {} : { client: credential.client }),
    })
  const checkpoint = await get("/directory/checkpoint")
  // Whose key signs is known only after reading: the head is judged at the end.
  const head = parseCheckpointText(parseNote(checkpoint).text)
  const { statements } = await readDirectoryTail({
    sha256,
    held: emptyRange,
    head,
    async fetch(from) {
      const index = Math.floor(from / tileWidth)
      const width = widthAt(head.size, 0, index)
      const path = `/directory/${tilePath({ kind: "entries", index, width })}`
      return decodeBundle(await get(path), width).slice(from % tileWidth)
    },
  })
  const directory = new Directory(crypto, anchor)
  directory.applyInOrder(statements)
  for (const { index, kind, statement } of statements)
    directory.place(head.origin, index, directory.idOf(kind, statement))
  const named = directory.log(head.origin)
  if (named === undefined || named.relay !== relay.name)
    throw new ChappeError("note", `${relay.name} shows a log that is not its own`)
  openCheckpoint(crypto.verify, checkpoint, { log: parseVerifierKey(crypto, named.logVkey) })
  return directory
}

/** The first of the trusted relays that answers. Refused: `no-relay`, or what the last one refused. */
export async function withAnyRelay<T>(
  trust: TrustFile,
  ask: (relay: TrustedRelay) => Promise<T>,
): Promise<T> {
  let failure = new ChappeError("no-relay", "the trust file names no relay")
  for (const relay of trust.relays) {
    try {
      return await ask(relay)
    } catch (error) {
      if (!(error instanceof ChappeError)) throw error
      failure = error
      if (error.code !== "link-down") break
    }
  }
  if (failure.code === "link-down") throw new ChappeError("no-relay", failure.message)
  throw failure
}
