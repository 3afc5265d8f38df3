// How an auditor shows a relay who it is: a signature over method, path and time of one request.
// docs/PROTOCOL.md, "The relay's HTTPS listener".
//
//   Authorization: Chappe-Auditor name=auditor,time=1800000000,signature=<base64 of 64 bytes>

import { fromBase64, toBase64, utf8 } from "./bytes.ts"
import { parseDecimal } from "./decimal.ts"
import { ChappeError } from "./errors.ts"
import { isRelayName } from "./names.ts"
import { withCode } from "./recode.ts"

/** `path` as in the request line. `time` in seconds since 1970. */
export type AuditorRequest = {
  readonly method: string
  readonly path: string
  readonly time: number
}

/** What the auditor's key signs. */
export function auditorMessage({ method, path, time }: AuditorRequest): Uint8Array {
  return utf8(`chappe/auditor/v1\n${method}\n${path}\n${time}\n`)
}

/** `name`: as in the roster. `signature`: 64 bytes. */
export type AuditorAuthorization = {
  readonly name: string
  readonly time: number
  readonly signature: Uint8Array
}

const scheme = "Chappe-Auditor"
const signatureBytes = 64

/** The value of the `Authorization` header. */
export function formatAuditorAuthorization(item: AuditorAuthorization): string {
  return `${scheme} name=${item.name},time=${item.time},signature=${toBase64(item.signature)}`
}

const form = /^Chappe-Auditor name=([^,]{1,64}),time=([0-9]{1,16}),signature=([A-Za-z0-9+/=]{88})$/u

/** Form only; whether the name, the time and the signature count is for the relay. Refused: `unauthenticated`. */
export function parseAuditorAuthorization(header: string): AuditorAuthorization {
  return withCode("unauthenticated", () => {
    const [, name = "", time = "", base64 = ""] = form.exec(header) ?? []
    const signature = fromBase64(base64)
    if (!isRelayName(name) || signature.length !== signatureBytes)
      throw new ChappeError("unauthenticated", "the authorization does not have its form")
    return { name, time: parseDecimal(time), signature }
  })
}
