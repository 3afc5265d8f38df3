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

function vectors(folder: string): readonly { readonly name: string; readonly vector: unknown }[] {
  return sharedFiles(folder).map((name) => ({
    name,
    vector: JSON.parse(new TextDecoder().decode(readShared(`${folder}/${name}`))),
  }))
}

// Lenient on purpose: the vectors hold bytes of wrong lengths, and the verifier is to refuse those.
const bytes = (base64: string): Uint8Array => Uint8Array.from(Buffer.from(base64, "base64"))

describe.skipIf(!haveSharedVectors)("transparency-dev/merkle", () => {
  it("agrees on all 98 inclusion proofs", () => {
    const all = vectors("merkle/inclusion")
    expect(all).toHaveLength(98)
    for (const { name, vector } of all) {
      const verdict = verifyInclusion({
        sha256,
        index: vector.leafIdx,
        size: vector.treeSize,
        leaf: bytes(vector.leafHash),
        path: (vector.proof ?? []).map(bytes),
        root: bytes(vector.root),
      })
      expect(verdict, name).toBe(!vector.wantErr)
    }
  })

  it("agrees on all 98 consistency proofs, but refuses the one whose roots have 12 bytes", () => {
    const all = vectors("merkle/consistency")
    expect(all).toHaveLength(98)
    for (const { name, vector } of all) {
      const verdict = verifyConsistency({
        sha256,
        smallSize: vector.size1,
        smallRoot: bytes(vector.root1),
        largeSize: vector.size2,
        largeRoot: bytes(vector.root2),
        path: (vector.proof ?? []).map(bytes),
      })
      const shortRoots = name === "additional/sizes-are-equal-one-and-proof-is-empty.json"
      expect(verdict, name).toBe(!vector.wantErr && !shortRoots)
    }
  })
})
