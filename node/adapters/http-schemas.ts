// Forms of the officers' interface: every body, query and parameter, with its bounds.

import { Type } from "typebox"
import { precedences } from "../../protocol/envelope.ts"
import { classifications, handlingCodes } from "../../protocol/document.ts"
import { roleNames } from "../../protocol/capability.ts"
import { limits } from "../../protocol/limits.ts"
import { nodeLimits } from "../limits.ts"

const closed = { additionalProperties: false } as const

function oneOf<const T extends string[]>(values: readonly [...T]) {
  return Type.Enum<T>(values)
}

const member = Type.String({ maxLength: limits.memberNameMax, pattern: "^[A-Z][A-Z0-9-]*$" })
const members = Type.Array(member, { maxItems: limits.recipientsMax })
const hexId = Type.String({ pattern: "^[0-9a-f]{32}$" })
const idempotencyKey = Type.String({ minLength: 1, maxLength: 256 })
const reference = Type.String({ minLength: 1, maxLength: 64 })

export const sessionBody = Type.Object(
  {
    officer: Type.String({ minLength: 1, maxLength: 65 }),
    secret: Type.String({ minLength: 1, maxLength: 4_096 }),
  },
  closed,
)

export const attachmentQuery = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: limits.attachmentNameBytesMax }),
    mediaType: Type.String({ minLength: 1, maxLength: 127, pattern: "^[ -~]+$" }),
    size: Type.Integer({ minimum: 0, maximum: limits.attachmentBytesMax }),
    sha256: Type.String({ pattern: "^[0-9a-f]{64}$" }),
  },
  closed,
)

export const messageBody = Type.Object(
  {
    type: Type.Optional(oneOf(["message", "notice", "diffusion"])),
    to: Type.Optional(members),
    info: Type.Optional(members),
    subject: Type.String({ minLength: 1, maxLength: 300 }),
    text: Type.Optional(Type.String({ maxLength: 200_000 })),
    form: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    attachments: Type.Optional(Type.Array(hexId, { maxItems: limits.attachmentsMax })),
    precedence: Type.Optional(oneOf(precedences)),
    ourRef: Type.Optional(reference),
    yourRef: Type.Optional(reference),
    expiresSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.lifetimeSecondsMax })),
    idempotencyKey: Type.Optional(idempotencyKey),
    label: Type.Optional(
      Type.Object(
        { classification: oneOf(classifications), handling: oneOf(handlingCodes) },
        closed,
      ),
    ),
  },
  closed,
)

export const messageParams = Type.Object({ id: hexId }, closed)
export const attachmentParams = Type.Object(
  { id: hexId, index: Type.Integer({ minimum: 0, maximum: limits.attachmentsMax }) },
  closed,
)

export const inboxQuery = Type.Object(
  {
    since: Type.Optional(hexId),
    unread: Type.Optional(Type.Boolean()),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: nodeLimits.inboxPageMax })),
  },
  closed,
)
export const pageQuery = Type.Object(
  {
    after: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffff_ffff })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: nodeLimits.inboxPageMax })),
  },
  closed,
)
export const evidenceQuery = Type.Object({ disclose: Type.Optional(Type.Boolean()) }, closed)

export const escalationsQuery = Type.Object({ all: Type.Optional(Type.Boolean()) }, closed)

export const publishBody = Type.Object(
  { exclude: Type.Optional(members), idempotencyKey: Type.Optional(idempotencyKey) },
  closed,
)
export const replyBody = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: 200_000 }),
    idempotencyKey: Type.Optional(idempotencyKey),
  },
  closed,
)
export const refuseBody = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: limits.reasonBytesMax }) },
  closed,
)
export const emptyBody = Type.Object({}, closed)

export const officerBody = Type.Object(
  {
    officer: Type.String({ pattern: "^[a-z0-9.-]{1,32}$" }),
    key: Type.String({ pattern: "^[0-9a-f]{64}$" }),
    possession: Type.String({ pattern: "^[0-9a-f]{128}$" }),
    roles: Type.Array(oneOf(roleNames), { minItems: 1, maxItems: roleNames.length }),
    maxPrecedence: Type.Optional(oneOf(precedences)),
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: 90 })),
  },
  closed,
)
export const courierParams = Type.Object(
  { member: Type.String({ minLength: 1, maxLength: limits.memberNameMax }) },
  closed,
)
export const officerParams = Type.Object(
  { officer: Type.String({ pattern: "^[a-z0-9.-]{1,32}$" }) },
  closed,
)
export const statementBody = Type.Object(
  { statement: Type.String({ minLength: 1, maxLength: 2 * limits.statementBytesMax }) },
  closed,
)
