// A lab's custodians at work: whoever asks to join with a valid invitation is put into the next roster.
// In a real network people do this, one by one, with `chappe roster add`, `sign` and `publish`.

import { join } from "node:path"
import { toHex } from "../../protocol/bytes.ts"
import { type JoinRequest, decodeJoinRequest } from "../../protocol/join-request.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { decodeMultiSigned, multiSignedId } from "../../protocol/multi-signed.ts"
import { crypto } from "../../keys/crypto.ts"
import { signRoster } from "../../keys/statements.ts"
import { type SigningKey, signingKey } from "../../keys/signing-key.ts"
import { draftRoster } from "../ceremony/roster-draft.ts"
import { cliLimits } from "../limits.ts"
import { namesIn, readBytes } from "../private-files.ts"
import {
  auditorCredential,
  fetchDirectory,
  postStatement,
  readTrust,
  withAnyRelay,
} from "../relay-client.ts"
import { openKeys } from "../secret.ts"
import { type World, nowSeconds } from "../world.ts"
import type { Lab } from "./lab-file.ts"

export type Joined = { readonly member: string; readonly roster: number; readonly genesis: string }

/** The id of the genesis that a request begins with. */
export function genesisOf(request: JoinRequest): Uint8Array {
  const [genesis] = request.statements
  if (genesis === undefined) throw new ChappeError("statement", "a join request without a genesis")
  return multiSignedId(crypto, decodeMultiSigned(genesis), "member")
}

/** Undefined where the relay has just taken the file away: the member was named meanwhile. */
async function requestIn(path: string): Promise<JoinRequest | undefined> {
  try {
    return decodeJoinRequest(await readBytes(path, cliLimits.statementFileBytesMax))
  } catch (error) {
    if (error instanceof ChappeError && error.code === "file-unreadable") return undefined
    throw error
  }
}

export class LabCustodians {
  readonly #world: World
  readonly #dir: string
  readonly #lab: Lab
  readonly #done = new Set<string>()

  constructor(world: World, dir: string, lab: Lab) {
    this.#world = world
    this.#dir = dir
    this.#lab = lab
  }

  /** Looks through the relays' folders once. What cannot be done now is tried again the next time. */
  async attend(): Promise<readonly Joined[]> {
    const joined: Joined[] = []
    for (const relay of this.#lab.relays) {
      const folder = join(this.#dir, relay.dir, "joins")
      for (const name of await namesIn(folder)) {
        if (!name.endsWith(".join")) continue
        const request = await requestIn(join(folder, name))
        if (request === undefined) continue
        const genesisId = genesisOf(request)
        const key = `${request.name} ${toHex(genesisId)}`
        if (this.#done.has(key)) continue
        const number = await this.#take(request.name, genesisId)
        this.#done.add(key)
        if (number !== undefined)
          joined.push({ member: request.name, roster: number, genesis: toHex(genesisId) })
      }
    }
    return joined
  }

  /** The number of the roster that names the member now; undefined if one did before. */
  async #take(name: string, genesisId: Uint8Array): Promise<number | undefined> {
    const trustFile = join(this.#dir, "trust.json")
    const trust = await readTrust(trustFile)
    const credential = await auditorCredential(this.#world, trustFile, trust)
    const current = await withAnyRelay(trust, (relay) =>
      fetchDirectory(relay, trust.anchor, credential),
    )
    const known = current.member(name)
    if (known !== undefined && toHex(known.genesisId) === toHex(genesisId)) return undefined
    const next = draftRoster(current.roster(), nowSeconds(this.#world), {
      kind: "add-member",
      name,
      genesisId,
      flags: [],
    })
    const { statement } = signRoster(next, await this.#keys(next.custodians.threshold))
    await withAnyRelay(trust, (relay) => postStatement(relay, "roster", statement))
    return next.number
  }

  async #keys(count: number): Promise<readonly SigningKey[]> {
    const keys: SigningKey[] = []
    for (let i = 1; i <= count; i++) {
      const file = join(this.#dir, "custodians", `custodian-${i}.key`)
      const entry = (await openKeys(this.#world, file)).find(({ use }) => use === "custodian")
      if (entry === undefined) throw new ChappeError("key-file", `${file} holds no custodian's key`)
      keys.push(signingKey("custodian", entry.secret))
    }
    return keys
  }
}
