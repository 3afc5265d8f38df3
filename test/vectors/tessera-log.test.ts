// A published log of transparency-dev/tessera, written again by us from its entries and test key.

import { describe, expect, it } from "vitest"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { fromBase64, utf8 } from "../../protocol/bytes.ts"
import { openCheckpoint } from "../../protocol/checkpoint.ts"
import { emptyEdge, edgeRoot, growLog, readEdge } from "../../protocol/tile-writer.ts"
import { formatVerifierKey } from "../../protocol/verifier-key.ts"
import { noteSigner, signedCheckpoint } from "../kit/note-signer.ts"
import { readShared, sharedFiles } from "../kit/shared-logs.ts"
import { haveSharedVectors } from "../kit/shared-vectors.ts"

const words =
  "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split(" ")
const log = noteSigner(
  "example.com/log/testdata",
  fromBase64("AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg").slice(1),
)

describe.skipIf(!haveSharedVectors)("tlog/tessera-log", () => {
  it("has the published verifier key", () => {
    expect(formatVerifierKey(log.key)).toBe(
      "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
    )
  })

  it("is reproduced byte for byte: 16 checkpoints and every tile and bundle", async () => {
    const written = new Map<string, Uint8Array>()
    let edge = emptyEdge
    for (let size = 0; size <= words.length; size++) {
      if (size > 0) {
        const growth = growLog(sha256, edge, [utf8(words[size - 1] ?? "")])
        for (const { path, bytes } of growth.files) written.set(path, bytes)
        edge = growth.edge
      }
      const checkpoint = signedCheckpoint(log, { size, root: edgeRoot(sha256, edge) })
      expect(checkpoint).toEqual(
        readShared(`tlog/tessera-log/checkpoint.${size}`),
      )
      expect(openCheckpoint(crypto.verify, checkpoint, { log: log.key }).size).toBe(size)
      const restored = await readEdge(size, (path) => {
        const bytes = written.get(path)
        return bytes === undefined ? Promise.reject(new Error(path)) : Promise.resolve(bytes)
      })
      expect(restored).toEqual(edge)
    }
    expect(readShared("tlog/tessera-log/checkpoint")).toEqual(
      readShared("tlog/tessera-log/checkpoint.15"),
    )
    const published = sharedFiles("tlog/tessera-log/tile").map((path) => `tile/${path}`)
    expect([...written.keys()].toSorted()).toEqual(published)
    for (const [path, bytes] of written)
      expect(bytes).toEqual(readShared(`tlog/tessera-log/${path}`))
  })
})
