// transparency-dev/merkle: 98 inclusion and 98 consistency proofs, most of them hostile.

import { describe, expect, it } from "vitest"
import { sha256 } from "../../keys/crypto.ts"
import { verifyConsistency, verifyInclusion } from "../../protocol/tree.ts"
import { readShared, sharedFiles } from "../kit/shared-logs.ts"
import { haveSharedVectors } from "../kit/shared-vectors.ts"

type Inclusion = {
  readonly leafIdx: number
  readonly treeSize: number
  readonly root: string
  readonly leafHash: string
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}
type Consistency = {
  readonly size1: number
  readonly size2: number
  readonly root1: string
  readonly root2: string
  readonly proof: readonly string[] | null
  readonly wantErr: boolean
}

function inclusions(): readonly (Inclusion & { readonly name: string })[] {
  return named("merkle/inclusion") as readonly (Inclusion & { readonly name: string })[]
}

function consistencies(): readonly (Consistency & { readonly name: string })[] {
  return named("merkle/consistency") as readonly (Consistency & { readonly name: string })[]
}

function named(folder: string): readonly { readonly name: string }[] {
  return sharedFiles(folder).map((name) => ({
    name,
    ...(JSON.parse(new TextDecoder().decode(readShared(`${folder}/${name}`))) as object),
  }))
}

// Lenient on purpose: the vectors hold bytes of wrong lengths, and the verifier is to refuse those.
const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, "base64"))

describe.skipIf(!haveSharedVectors)("transparency-dev/merkle", () => {
  it("agrees on all 98 inclusion proofs", () => {
    const all = inclusions()
    expect(all).toHaveLength(98)
    const disagreements = all.filter((vector) => {
      const verdict = verifyInclusion({
        sha256,
        index: vector.leafIdx,
        size: vector.treeSize,
        leaf: bytes(vector.leafHash),
        path: (vector.proof ?? []).map(bytes),
        root: bytes(vector.root),
      })
      return verdict === vector.wantErr
    })
    expect(disagreements).toEqual([])
  })

  it("agrees on all 98 consistency proofs, but refuses the one whose roots have 12 bytes", () => {
    const all = consistencies()
    expect(all).toHaveLength(98)
    const disagreements = all.filter((vector) => {
      const verdict = verifyConsistency({
        sha256,
        smallSize: vector.size1,
        smallRoot: bytes(vector.root1),
        largeSize: vector.size2,
        largeRoot: bytes(vector.root2),
        path: (vector.proof ?? []).map(bytes),
      })
      return verdict === vector.wantErr
    })
    expect(disagreements.map(({ name }) => name)).toEqual([
      "additional/sizes-are-equal-one-and-proof-is-empty.json",
    ])
  })
})
