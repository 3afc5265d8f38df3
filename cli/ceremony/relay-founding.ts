// A relay's folder, and the founding file by which custodians take it into the first roster.

import { join } from "node:path"
import { crypto } from "../../keys/crypto.ts"
import { type FoundedRelay, foundRelay } from "../../keys/founding.ts"
import { makeHttpsCertificate } from "../../keys/https-certificate.ts"
import { fromBase64, toBase64 } from "../../protocol/bytes.ts"
import { decodeChainStatement } from "../../protocol/chain.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeMultiSigned, multiSignedId } from "../../protocol/multi-signed.ts"
import type { TrustedRelay } from "../../protocol/trust-file.ts"
import { relayConfigTemplate } from "../../relay/config.ts"
import { isJsonObject, parseJson, textField, wordsField } from "../json.ts"
import { cliLimits } from "../limits.ts"
import { makeFolder, readText, syncFolder, writeNew } from "../private-files.ts"
import { writeKeysWithSecret } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"

export type RelayPlace = {
  readonly name: string
  /** The name or address by which others reach it. */
  readonly host: string
  /** Where it listens. */
  readonly bind: string
  readonly linksPort: number
  readonly httpsPort: number
}

export type NewRelay = {
  readonly place: RelayPlace
  readonly founded: FoundedRelay
  readonly https: { readonly certPem: string; readonly keyPem: string }
  readonly trusted: TrustedRelay
}

/** A certificate of its own for the HTTPS listener of a relay that others reach by `host`. */
export function httpsCertificateFor(
  world: World,
  name: string,
  host: string,
): { readonly certPem: string; readonly keyPem: string } {
  const at = nowSeconds(world)
  const isAddress = /^[\d.]+$|:/u.test(host)
  return makeHttpsCertificate({
    name,
    // The relay's own machine asks for its health, whatever others call it.
    dnsNames: [...new Set([...(isAddress ? [] : [host]), "localhost"])],
    ipAddresses: [...new Set([...(isAddress ? [host] : []), "127.0.0.1"])],
    serial: world.random(16),
    notBefore: at - limits.clockSkewSecondsMax,
    notAfter: at + cliLimits.certificateSeconds,
  })
}

export function newRelay(world: World, place: RelayPlace): NewRelay {
  const at = nowSeconds(world)
  const { name, host } = place
  const url = `https://${host}:${place.httpsPort}`
  const founded = foundRelay({
    name,
    links: [`wss://${host}:${place.linksPort}`],
    https: [url],
    logYear: new Date(at * 1000).getUTCFullYear(),
    at,
    random: world.random,
  })
  const https = httpsCertificateFor(world, name, host)
  return { place, founded, https, trusted: { name, url, certificate: https.certPem } }
}

function configOf({ name, bind, linksPort, httpsPort }: RelayPlace): string {
  return relayConfigTemplate({ name, host: bind, linksPort, httpsPort })
}

/** The folder without trust and directory: those come from the custodians. */
export async function writeRelay(world: World, dir: string, relay: NewRelay): Promise<void> {
  await writeNew(join(dir, "relay.toml"), configOf(relay.place))
  await writeNew(join(dir, "keys/https.pem"), relay.https.certPem)
  await writeNew(join(dir, "keys/https-key.pem"), relay.https.keyPem)
  await writeKeysWithSecret(world, join(dir, "keys/relay.key"), relay.founded.relay)
  for (const folder of ["data", "log", "joins", "tokens", "run"])
    await makeFolder(join(dir, folder))
  await syncFolder(dir)
}

const type = "chappe/founding/v1"

/** JSON: what the custodians and the other relays need to know of it, nothing secret. */
export function foundingFile({ trusted, founded }: NewRelay): string {
  const file = { type, ...trusted, statements: founded.statements.map(toBase64) }
  return `${JSON.stringify(file, undefined, 1)}\n`
}

export type Founding = {
  readonly trusted: TrustedRelay
  readonly genesisId: Uint8Array
  readonly statements: readonly Uint8Array[]
}

/** Refused: `statement` for a file that does not begin with the genesis of the relay that it names. */
export async function readFounding(path: string): Promise<Founding> {
  const found = parseJson(await readText(path, cliLimits.statementFileBytesMax), path)
  if (!isJsonObject(found) || found["type"] !== type)
    throw new ChappeError("statement", `${path} is not a relay's founding file`)
  const trusted = {
    name: textField(found, "name"),
    url: textField(found, "url"),
    certificate: textField(found, "certificate"),
  }
  const statements = wordsField(found, "statements").map(fromBase64)
  const [first] = statements
  if (first === undefined) throw new ChappeError("statement", `${path} holds no statement`)
  const signed = decodeMultiSigned(first)
  const item = decodeChainStatement(signed.body)
  if (item.op !== "genesis" || item.name !== trusted.name)
    throw new ChappeError("statement", `${path} does not begin with the genesis of its relay`)
  return { trusted, genesisId: multiSignedId(crypto, signed, "member"), statements }
}
