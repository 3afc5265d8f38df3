// Chain statements by hand, for tests that bend one rule at a time.

import { sha256 } from "../../keys/crypto.ts"
import type { SigningKey } from "../../keys/signing-key.ts"
import { type SignedStatement, possessionOf, signChain } from "../../keys/statements.ts"
import { emptyBytes } from "../../protocol/bytes.ts"
import type { ChainBody, ChainOp } from "../../protocol/chain.ts"
import { Directory } from "../../protocol/directory.ts"
import { crypto } from "../../keys/crypto.ts"
import { limits } from "../../protocol/limits.ts"
import { type SeededKey, type Statement, type World, seededKey } from "./world.ts"

export const at = 1_800_000_000
export const days = (count: number): number => count * limits.secondsPerDay
export const noHead = { size: 0, root: sha256(emptyBytes) }

/** The end of a chain: what the next statement names. */
export type ChainEnd = { readonly seq: number; readonly prev: Uint8Array }

/** A statement at the end of a chain; `place` replaces seq and prev. */
export function chainStatement<Op extends ChainOp>(
  name: string,
  end: ChainEnd | null,
  op: Op,
  body: ChainBody<Op>,
  keys: readonly SigningKey[],
  time: number = at,
): SignedStatement {
  const place = end === null ? { seq: null, prev: null } : { seq: end.seq + 1, prev: end.prev }
  return signChain<Op>({ name, ...place, op, at: time, head: noHead, body }, keys)
}

export function officerBody(
  officer: string,
  key: SeededKey,
  changes: Partial<ChainBody<"officer">> = {},
): ChainBody<"officer"> {
  return {
    officer,
    key: key.publicKey,
    capabilities: ["sign/case"],
    maxPrecedence: 1,
    notBefore: at - days(1),
    notAfter: at + days(60),
    possession: possessionOf(officer.slice(0, officer.indexOf("/")), key),
    ...changes,
  }
}

export function nodeBody(
  name: string,
  key: SeededKey,
  changes: Partial<ChainBody<"node">> = {},
): ChainBody<"node"> {
  return {
    key: key.publicKey,
    incarnation: 1,
    notBefore: at - days(1),
    notAfter: at + days(60),
    possession: possessionOf(name, key),
    ...changes,
  }
}

export function linkBody(name: string, label: string): ChainBody<"link"> {
  const key = seededKey("link", label)
  return {
    key: key.publicKey,
    notAfter: at + days(30),
    possession: possessionOf(name, key),
  }
}

/** A directory in which every statement of the world stands in that origin's log, in order. */
export function placedDirectory(world: World, origin = "hub1/directory"): Directory {
  const directory = new Directory(crypto, world.anchor)
  world.statements.forEach(({ kind, statement }, index) => {
    directory.place(origin, index, directory.apply(kind, statement).id)
  })
  return directory
}

/** Applies one more statement and places it behind the others of that log. */
export function addTo(
  directory: Directory,
  { kind, statement }: Statement,
  places: Readonly<Record<string, number>> = {},
): Uint8Array {
  const { id } = directory.apply(kind, statement)
  for (const [origin, index] of Object.entries(places)) directory.place(origin, index, id)
  return id
}
