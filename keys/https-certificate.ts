// A self-signed certificate for a relay's HTTPS listener, for labs and for networks that pin it in the trust file.
// ECDSA P-256, because browsers and many HTTPS clients refuse Ed25519.

import { generateKeyPairSync, sign } from "node:crypto"
import { AsnConvert, OctetString } from "@peculiar/asn1-schema"
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  Extension,
  Extensions,
  GeneralName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Time,
  Validity,
  Version,
} from "@peculiar/asn1-x509"
import { toBase64 } from "../protocol/bytes.ts"

const ecdsaWithSha256 = "1.2.840.10045.4.3.2"
const commonName = "2.5.4.3"
const subjectAltName = "2.5.29.17"
const basicConstraints = "2.5.29.19"

const arrayBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

function nameOf(text: string): Name {
  const value = new AttributeValue({ utf8String: text })
  const attribute = new AttributeTypeAndValue({ type: commonName, value })
  return new Name([new RelativeDistinguishedName([attribute])])
}

function extension(id: string, critical: boolean, item: object): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(item))
  return new Extension({ extnID: id, critical, extnValue })
}

function pem(label: string, der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/gu) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n")
}

/** Certificate and private key in PEM. `serial`: 16 random bytes. Times in seconds since 1970. */
export function makeHttpsCertificate(input: {
  readonly name: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly serial: Uint8Array
  readonly notBefore: number
  readonly notAfter: number
}): { readonly certPem: string; readonly keyPem: string } {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const spki = pair.publicKey.export({ format: "der", type: "spki" })
  const serial = new Uint8Array(input.serial)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // a positive integer without leading zeros
  const algorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 })
  const validity = new Validity()
  validity.notBefore = new Time({ generalTime: new Date(input.notBefore * 1000) })
  validity.notAfter = new Time({ generalTime: new Date(input.notAfter * 1000) })
  const names = new SubjectAlternativeName([
    ...input.dnsNames.map((dNSName) => new GeneralName({ dNSName })),
    ...input.ipAddresses.map((iPAddress) => new GeneralName({ iPAddress })),
  ])
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serial.buffer,
    signature: algorithm,
    issuer: nameOf(input.name),
    validity,
    subject: nameOf(input.name),
    subjectPublicKeyInfo: AsnConvert.parse(arrayBuffer(spki), SubjectPublicKeyInfo),
    extensions: new Extensions([
      extension(basicConstraints, true, new BasicConstraints({ cA: true })),
      extension(subjectAltName, false, names),
    ]),
  })
  const toSign = new Uint8Array(AsnConvert.serialize(tbsCertificate))
  const signatureValue = arrayBuffer(sign("sha256", toSign, pair.privateKey))
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue,
  })
  return {
    certPem: pem("CERTIFICATE", new Uint8Array(AsnConvert.serialize(certificate))),
    keyPem: pem(
      "PRIVATE KEY",
      new Uint8Array(pair.privateKey.export({ format: "der", type: "pkcs8" })),
    ),
  }
}
