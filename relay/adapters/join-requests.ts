// Join requests that wait for the custodians, as files `joins/<member>.join`. When a roster names the genesis
// of one, its statements and KEM keys are taken in, and the file is renamed to `.joined`.

import { readFile, readdir, rename } from "node:fs/promises"
import { join } from "node:path"
import { crypto } from "../../keys/crypto.ts"
import { equalBytes, toHex } from "../../protocol/bytes.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { type JoinRequest, decodeJoinRequest } from "../../protocol/join-request.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeMultiSigned, multiSignedId } from "../../protocol/multi-signed.ts"
import type { Journal } from "../core/ports.ts"
import type { StatementDesk } from "../core/statement-desk.ts"
import { makeFolder, onDisk, replaceFile, syncFolder } from "../../store/durable-files.ts"
import {
  type InvitationToken,
  readInvitationToken,
  writeInvitationToken,
} from "./invitation-tokens.ts"

export type JoinParts = {
  readonly joins: string
  readonly tokens: string
  readonly directory: Directory
  readonly statements: StatementDesk
  readonly journal: Journal
}

export class JoinRequests {
  readonly #parts: JoinParts
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: JoinParts) {
    this.#parts = parts
  }

  /** The invitation that a token opens. Refused: `token-used` for unknown and ended ones. */
  async invitation(token: Uint8Array, now: number): Promise<InvitationToken> {
    const record = await readInvitationToken(this.#parts.tokens, token)
    if (record === undefined || record.expires < now) throw new ChappeError("token-used")
    return record
  }

  /** Stores a request; the same one again is no error. Refused: `token-used`, `invitation`, `not-canonical`. */
  async take(token: Uint8Array, bytes: Uint8Array, now: number): Promise<void> {
    await this.#inTurn(async () => {
      const record = await this.invitation(token, now)
      const request = decodeJoinRequest(bytes)
      const genesisId = toHex(genesisOf(request))
      if (record.genesisId !== undefined && record.genesisId !== genesisId)
        throw new ChappeError("token-used", "the token was used with another genesis")
      if (request.name !== record.member)
        throw new ChappeError("invitation", `the invitation is for ${record.member}`)
      const { joins, tokens, journal } = this.#parts
      await onDisk("storing a join request", async () => {
        await makeFolder(joins)
        await replaceFile(join(joins, `${request.name}.join`), bytes)
        await syncFolder(joins)
      })
      await writeInvitationToken(tokens, token, { ...record, genesisId })
      journal.info("join", { member: request.name, genesis: genesisId })
    })
  }

  /** Takes in the requests whose genesis the roster names by now. */
  async applyNamed(): Promise<void> {
    await this.#inTurn(async () => {
      const { joins, directory, journal } = this.#parts
      await makeFolder(joins)
      for (const file of await readdir(joins)) {
        if (!file.endsWith(".join")) continue
        const path = join(joins, file)
        const request = decodeJoinRequest(new Uint8Array(await readFile(path)))
        const named = directory.hasRoster ? directory.member(request.name)?.genesisId : undefined
        if (named === undefined || !equalBytes(named, genesisOf(request))) continue
        await this.#apply(request)
        await rename(path, `${path}ed`)
        journal.info("joined", { member: request.name })
      }
    })
  }

  async #apply({ name, statements, prekeys }: JoinRequest): Promise<void> {
    for (const statement of statements)
      try {
        await this.#parts.statements.take({ kind: "chain", statement })
      } catch (cause) {
        // One bad statement ends what follows in its chain only.
        if (!(cause instanceof ChappeError)) throw cause
        this.#parts.journal.warn("join-statement", { member: name, code: cause.code })
      }
    for (let at = 0; at < prekeys.length; at += limits.prekeyPeriodDays)
      try {
        await this.#parts.statements.takePrekeys(
          name,
          prekeys.slice(at, at + limits.prekeyPeriodDays),
        )
      } catch (cause) {
        if (!(cause instanceof ChappeError)) throw cause
        this.#parts.journal.warn("join-prekeys", { member: name, code: cause.code })
      }
  }

  async #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(run)
    this.#turn = turn.catch(() => undefined)
    await turn
  }
}

function genesisOf({ statements }: JoinRequest): Uint8Array {
  const [genesis] = statements
  if (genesis === undefined) throw new ChappeError("invitation", "the request has no genesis")
  return multiSignedId(crypto, decodeMultiSigned(genesis), "member")
}
