// Self-signed Ed25519 certificates for links (docs/PROTOCOL.md, "Links"). TLS wants a certificate; what counts
// is the 32-byte key in it, compared with the directory. Names and dates in it are decoration.

import { X509Certificate } from "node:crypto"
import { AsnConvert } from "@peculiar/asn1-schema"
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Certificate,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Time,
  Validity,
  Version,
} from "@peculiar/asn1-x509"
import { toBase64 } from "../protocol/bytes.ts"
import { generateKeyPair, privateKeyPem } from "./ed25519.ts"
import { keyLimits } from "./limits.ts"

const ed25519 = "1.3.101.112"
const commonName = "2.5.4.3"
const noEnd = new Date("9999-12-31T23:59:59Z") // RFC 5280 section 4.1.2.5: no well-defined end

/** What `node:tls` takes as `cert` and `key`. */
export type LinkCertificate = { readonly certPem: string; readonly keyPem: string }

const arrayBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

function nameOf(text: string): Name {
  const value = new AttributeValue({ utf8String: text })
  const attribute = new AttributeTypeAndValue({ type: commonName, value })
  return new Name([new RelativeDistinguishedName([attribute])])
}

function validityFrom(seconds: number): Validity {
  const validity = new Validity()
  validity.notBefore = new Time({ generalTime: new Date(seconds * 1000) })
  validity.notAfter = new Time({ generalTime: noEnd })
  return validity
}

/** `seed`: 32 bytes of the link key. `serial`: 16 random bytes. `notBefore`: seconds since 1970. */
export function makeLinkCertificate(input: {
  readonly name: string
  readonly seed: Uint8Array
  readonly serial: Uint8Array
  readonly notBefore: number
}): LinkCertificate {
  const keyPem = privateKeyPem(input.seed)
  const pair = generateKeyPair(input.seed)
  const algorithm = new AlgorithmIdentifier({ algorithm: ed25519 })
  const serial = new Uint8Array(input.serial)
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40 // a positive integer without leading zeros
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serial.buffer,
    signature: algorithm,
    issuer: nameOf(input.name),
    validity: validityFrom(input.notBefore),
    subject: nameOf(input.name),
    subjectPublicKeyInfo: new SubjectPublicKeyInfo({
      algorithm,
      subjectPublicKey: arrayBuffer(pair.publicKey),
    }),
  })
  const signatureValue = arrayBuffer(
    pair.sign(new Uint8Array(AsnConvert.serialize(tbsCertificate))),
  )
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue,
  })
  const der = new Uint8Array(AsnConvert.serialize(certificate))
  return { certPem: certificatePem(der), keyPem }
}

function certificatePem(der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/gu) ?? []
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n")
}

/**
 * The 32-byte key of a peer's certificate in DER; `undefined` unless it is an Ed25519 key. Read by OpenSSL, as TLS
 * itself does: with two parsers, a certificate could show one key to TLS and another to the directory.
 */
export function spkiKeyOf(rawDer: Uint8Array): Uint8Array | undefined {
  if (rawDer.length > keyLimits.certificateBytesMax) return undefined
  try {
    const { publicKey } = new X509Certificate(rawDer)
    if (publicKey.asymmetricKeyType !== "ed25519") return undefined
    return new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-32))
  } catch {
    // Not a certificate, or a key of an unknown kind.
    return undefined
  }
}
