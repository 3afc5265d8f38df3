// A log of 600 entries with cosigned checkpoints, made with Go's libraries: accepted as it is, refused
// with any one thing changed.

import { describe, expect, it } from "vitest"
import { type LogVerdict, verifyLogDirectory } from "../../audit/log-directory.ts"
import { crypto } from "../../keys/crypto.ts"
import { concat, fromBase64, fromUtf8, toBase64, u16, utf8 } from "../../protocol/bytes.ts"
import { parseCheckpointText } from "../../protocol/checkpoint.ts"
import { parseNote } from "../../protocol/signed-note.ts"
import { encodeTlogProof, parseTlogProof } from "../../protocol/tlog-proof.ts"
import { parseVerifierKey } from "../../protocol/verifier-key.ts"
import { MemoryLogSource } from "../kit/memory-log-source.ts"
import { noteSigner, signedCheckpoint } from "../kit/note-signer.ts"
import { readShared, sharedFiles } from "../kit/shared-logs.ts"
import { haveSharedVectors } from "../kit/shared-vectors.ts"

const folder = "tlog/log600"
type Change = (log: MemoryLogSource) => void

function log600(): MemoryLogSource {
  return new MemoryLogSource(
    sharedFiles(folder).map((path) => [path, readShared(`${folder}/${path}`)] as const),
  )
}

function verdictOn(source: MemoryLogSource): Promise<LogVerdict> {
  const key = parseVerifierKey(crypto, fromUtf8(readShared(`${folder}/log.vkey`)).trim())
  return verifyLogDirectory({ crypto, source, key })
}

const flip = (at: number) => (bytes: Uint8Array) => bytes.with(at, (bytes.at(at) ?? 0) ^ 1)
const changed = (path: string, change: (bytes: Uint8Array) => Uint8Array): Change => (log) =>
  log.change(path, change)
const rewritten = (path: string, change: (text: string) => string): Change =>
  changed(path, (bytes) => {
    const text = fromUtf8(bytes)
    const after = change(text)
    if (after === text) throw new RangeError("nothing was changed")
    return utf8(after)
  })
const lines = (text: string, keep: (line: string) => boolean): string =>
  text.split("\n").filter(keep).join("\n")
const proof = (change: (proof: ReturnType<typeof parseTlogProof>) => object): Change =>
  changed("proof.tlog-proof", (bytes) => {
    const parsed = parseTlogProof(bytes)
    return encodeTlogProof({ ...parsed, ...change(parsed) })
  })
const removed = (path: string): Change => (log) => {
  if (!log.files.delete(path)) throw new RangeError(`no ${path}`)
}
/** The witness's line with its time set one second on. */
const laterTime = (text: string): string =>
  text.replace(/(?<=\n— ncb-fr\S+ )\S+/u, (base64) => {
    const bytes = fromBase64(base64)
    return toBase64(bytes.with(11, (bytes[11] ?? 0) + 1))
  })

const tamperings: readonly (readonly [string, string, Change])[] = [
  ["a byte in a full bundle", "log-file", changed("tile/entries/000", flip(2_000))],
  ["a length in a full bundle", "log-file", changed("tile/entries/001", flip(1))],
  ["a byte in the last partial bundle", "log-file", changed("tile/entries/002.p/88", flip(-1))],
  ["a byte in a full level-0 tile", "log-file", changed("tile/0/001", flip(77))],
  ["a byte in the partial level-0 tile", "log-file", changed("tile/0/002.p/88", flip(0))],
  ["a byte in the level-1 tile", "log-file", changed("tile/1/000.p/2", flip(40))],
  ["the checkpoint's size", "note", rewritten("checkpoint", (t) => t.replace("\n600\n", "\n601\n"))],
  ["the checkpoint's root", "note", rewritten("checkpoint", (t) => t.replace("+CVN", "+CVM"))],
  ["the checkpoint's origin", "note", rewritten("checkpoint", (t) => t.replace("/chappe\n", "/chapp\n"))],
  ["the log's line removed", "note", rewritten("checkpoint", (t) => lines(t, (line) => !line.startsWith("— log.")))],
  ["the log's signature", "note", rewritten("checkpoint", (t) => t.replace("qQSswJPf", "qQSswJPg"))],
  ["all cosignatures but one removed", "quorum", rewritten("checkpoint", (t) => lines(t, (line) => !/^— ncb-(?:br|ke)/u.test(line)))],
  ["all cosignatures but the one of type 06 removed", "quorum", rewritten("checkpoint", (t) => lines(t, (line) => !/^— ncb-(?:br|fr)/u.test(line)))],
  ["a cosignature's time", "note", rewritten("checkpoint", laterTime)],
  ["a byte added to proof.entry", "proof", changed("proof.entry", (b) => concat(b, u16(0).slice(1)))],
  ["the proof's index", "proof", proof(({ index }) => ({ index: index + 1 }))],
  ["a proof hash dropped", "proof", proof(({ path }) => ({ path: path.slice(0, -1) }))],
  ["a proof hash added", "proof", proof(({ path }) => ({ path: [...path, ...path.slice(0, 1)] }))],
  ["the proof's checkpoint", "note", rewritten("proof.tlog-proof", (t) => t.replace("\n600\n", "\n599\n"))],
  ["the proof's cosignatures removed", "quorum", rewritten("proof.tlog-proof", (t) => lines(t, (line) => !line.startsWith("— ncb-")))],
  ["the proof removed", "proof", removed("proof.tlog-proof")],
  ["a bundle missing", "log-file", removed("tile/entries/001")],
  ["the last bundle missing", "log-file", removed("tile/entries/002.p/88")],
  ["a level-0 tile missing", "log-file", removed("tile/0/000")],
  ["the level-1 tile missing", "log-file", removed("tile/1/000.p/2")],
  ["the checkpoint missing", "log-file", removed("checkpoint")],
  ["an entry appended to a full bundle", "log-file", changed("tile/entries/000", (b) => concat(b, u16(1), utf8("x")))],
  ["an entry appended to the partial bundle", "log-file", changed("tile/entries/002.p/88", (b) => concat(b, u16(1), utf8("x")))],
  ["a byte appended to a bundle", "log-file", changed("tile/entries/001", (b) => concat(b, u16(0).slice(1)))],
  ["a hash appended to a tile", "log-file", changed("tile/0/000", (b) => concat(b, b.slice(0, 32)))],
  ["a byte appended to a tile", "log-file", changed("tile/0/002.p/88", (b) => concat(b, b.slice(0, 1)))],
  ["a byte cut from a tile", "log-file", changed("tile/1/000.p/2", (b) => b.slice(0, -1))],
  ["a byte in an earlier size's bundle", "log-file", changed("tile/entries/001.p/44", flip(9))],
  ["a byte in an earlier size's level-0 tile", "log-file", changed("tile/0/001.p/44", flip(9))],
  ["a byte in an earlier size's level-1 tile", "log-file", changed("tile/1/000.p/1", flip(9))],
  ["a file among the tiles", "log-file", (log) => log.files.set("tile/0/1", new Uint8Array(32))],
  ["a line in the policy", "policy", rewritten("policy", (t) => t.replace("quorum ncbs", "quorum all"))],
  ["the policy's log key", "policy", rewritten("policy", (t) => t.replace(/log .*\n/u, `log ${otherKey}\n`))],
]
const otherKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"

describe.skipIf(!haveSharedVectors)("tlog/log600", () => {
  it("is accepted", async () => {
    expect(await verdictOn(log600())).toEqual({
      ok: true,
      origin: "log.example.int/chappe",
      size: 600,
      root: "+CVNw7Mq1x55WtTlYiQVLvgZpwt+AwKCl0M+8wA7+Ng=",
      bundles: 3,
      tiles: 4,
      prunedEntries: 0,
      strayTiles: 3,
      cosigned: ["ncb-fr", "ncb-br"],
      newestCosignature: 1_795_299_454,
      quorum: "reached",
      proof: { index: 299, size: 600 },
    })
  })

  it("is accepted at its earlier size, the later tiles being not yet signed", async () => {
    const source = log600()
    source.files.set("checkpoint", readShared(`${folder}/checkpoint.old`))
    source.files.delete("proof.entry")
    source.files.delete("proof.tlog-proof")
    expect(await verdictOn(source)).toMatchObject({ ok: true, size: 300, strayTiles: 5 })
    for (const path of ["tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"])
      source.files.delete(path)
    // Full tiles stand in for partial ones; no full one exists at level 1.
    expect(await verdictOn(source)).toMatchObject({ ok: false, fault: "log-file" })
    source.files.set("tile/1/000.p/1", readShared(`${folder}/tile/1/000.p/1`))
    expect(await verdictOn(source)).toMatchObject({ ok: true, size: 300 })
  })

  it("is refused at its earlier size with a proof given later", async () => {
    const source = log600()
    source.files.set("checkpoint", readShared(`${folder}/checkpoint.old`))
    expect(await verdictOn(source)).toMatchObject({ ok: false, fault: "rollback" })
  })

  it("has readable leaf hashes where bundles were pruned", async () => {
    const source = log600()
    const verdict = await verifyPruned(source, 512)
    expect(verdict).toMatchObject({ ok: true, bundles: 1, prunedEntries: 512 })
    source.change("tile/0/000", flip(5))
    expect(await verifyPruned(source, 512)).toMatchObject({ ok: false, fault: "log-file" })
  })

  it.each(tamperings)("is refused with %s: %s", async (_, fault, tamper) => {
    const source = log600()
    tamper(source)
    expect(await verdictOn(source)).toMatchObject({ ok: false, fault })
  })

  it("is refused under a checkpoint that the log itself signed over another tree", async () => {
    const seed = fromUtf8(readShared(`${folder}/log.skey`)).trim().split("+").slice(4).join("+")
    const signer = noteSigner("log.example.int/chappe", fromBase64(seed).slice(1))
    const source = log600()
    source.files.delete("policy")
    const good = parseCheckpointText(parseNote(readShared(`${folder}/checkpoint`)).text)
    for (const [checkpoint, fault] of [
      [{ ...good, root: good.root.with(0, 0) }, "log-root"],
      [{ ...good, size: 599 }, "log-file"],
      [{ ...good, size: 601 }, "log-file"],
      [{ ...good, size: 512 }, "log-root"],
      [{ ...good, size: 0 }, "log-root"],
    ] as const) {
      source.files.set("checkpoint", signedCheckpoint(signer, checkpoint))
      expect(await verdictOn(source)).toMatchObject({ ok: false, fault })
    }
    source.files.set("checkpoint", signedCheckpoint(signer, good))
    expect(await verdictOn(source)).toMatchObject({ ok: true, quorum: "not-asked" })
  })
})

function verifyPruned(source: MemoryLogSource, minimumIndex: number): Promise<LogVerdict> {
  for (const path of ["tile/entries/000", "tile/entries/001"]) source.files.delete(path)
  const key = parseVerifierKey(crypto, fromUtf8(readShared(`${folder}/log.vkey`)).trim())
  return verifyLogDirectory({ crypto, source, key, minimumIndex })
}
