// PEM and DER of one certificate.

import { X509Certificate } from "node:crypto"
import { ChappeError } from "../../protocol/errors.ts"

export function pemToDer(pem: string): Uint8Array {
  return new Uint8Array(new X509Certificate(pem).raw)
}

/** Refused: `invitation` for bytes that are no certificate. */
export function derToPem(der: Uint8Array): string {
  try {
    return new X509Certificate(der).toString()
  } catch (cause) {
    throw new ChappeError("invitation", "it holds no certificate", { cause })
  }
}
