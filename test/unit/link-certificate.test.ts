import { X509Certificate, generateKeyPairSync } from "node:crypto"
import { connect, createServer } from "node:tls"
import { once } from "node:events"
import { expect, test } from "vitest"
import { generateKeyPair } from "../../keys/ed25519.ts"
import { makeLinkCertificate, spkiKeyOf } from "../../keys/link-certificate.ts"

const seed = new Uint8Array(32).fill(5)
const input = {
  name: "relay-1.example",
  seed,
  serial: new Uint8Array(16).fill(0xff),
  notBefore: 1_800_000_000,
}

function derOf(pem: string): Uint8Array {
  return new Uint8Array(new X509Certificate(pem).raw)
}

test("a link certificate is small, self-signed and carries the key", () => {
  const { certPem } = makeLinkCertificate(input)
  const certificate = new X509Certificate(certPem)
  expect(certificate.verify(certificate.publicKey)).toBe(true)
  expect(certificate.subject).toBe("CN=relay-1.example")
  expect(certificate.issuer).toBe(certificate.subject)
  expect(certificate.serialNumber).toBe(`7F${"FF".repeat(15)}`)
  expect(certificate.validFrom).toBe("Jan 15 08:00:00 2027 GMT")
  expect(certificate.validTo).toBe("Dec 31 23:59:59 9999 GMT")
  expect(derOf(certPem).length).toBeLessThan(260)
  expect(spkiKeyOf(derOf(certPem))).toEqual(generateKeyPair(seed).publicKey)
})

test("the same input gives the same certificate", () => {
  expect(makeLinkCertificate(input)).toEqual(makeLinkCertificate(input))
})

test("two ends that show link certificates see each other's key over TLS 1.3", async () => {
  const ours = makeLinkCertificate(input)
  const theirs = makeLinkCertificate({ ...input, name: "FR", seed: new Uint8Array(32).fill(6) })
  const server = createServer({
    cert: ours.certPem,
    key: ours.keyPem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  const accepted = once(server, "secureConnection")
  const client = connect({
    port,
    host: "127.0.0.1",
    cert: theirs.certPem,
    key: theirs.keyPem,
    rejectUnauthorized: false,
    minVersion: "TLSv1.3",
  })
  await once(client, "secureConnect")
  const [peer] = await accepted
  expect(spkiKeyOf(new Uint8Array(client.getPeerCertificate().raw))).toEqual(
    generateKeyPair(seed).publicKey,
  )
  expect(spkiKeyOf(new Uint8Array(peer.getPeerCertificate().raw))).toEqual(
    generateKeyPair(new Uint8Array(32).fill(6)).publicKey,
  )
  client.destroy()
  peer.destroy()
  server.close()
})

test("what is not an Ed25519 certificate has no key", () => {
  const der = derOf(makeLinkCertificate(input).certPem)
  expect(spkiKeyOf(new Uint8Array(0))).toBeUndefined()
  expect(spkiKeyOf(der.slice(0, -1))).toBeUndefined()
  expect(spkiKeyOf(new Uint8Array(5_000))).toBeUndefined()
  // The second of three algorithm names is the key's; it becomes X25519: 1.3.101.110.
  const name = Buffer.from("2b6570", "hex")
  const algorithm = Buffer.from(der).indexOf(name, Buffer.from(der).indexOf(name) + 1)
  expect(spkiKeyOf(der.map((byte, i) => (i === algorithm + 2 ? 0x6e : byte)))).toBeUndefined()
  const { publicKey } = generateKeyPairSync("ed25519")
  expect(
    spkiKeyOf(new Uint8Array(publicKey.export({ format: "der", type: "spki" }))),
  ).toBeUndefined()
})
