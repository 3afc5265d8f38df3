// Proof files, witness requests, promises and fork files over one small log.

import { describe, expect, it } from "vitest"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { concat, emptyBytes, fromUtf8, toBase64, utf8 } from "../../protocol/bytes.ts"
import { checkFork, encodeForkFile, parseForkFile } from "../../protocol/fork-file.ts"
import {
  deadlineOf,
  formatPromiseText,
  isPromised,
  openPromise,
  parsePromiseText,
} from "../../protocol/promise.ts"
import { formatNote, signNote } from "../../protocol/signed-note.ts"
import { encodeTlogProof, openTlogProof, parseTlogProof } from "../../protocol/tlog-proof.ts"
import {
  emptyRoot,
  leafHash,
  treeRoot,
  consistencyPath,
  inclusionPath,
} from "../../protocol/tree.ts"
import {
  encodeAddCheckpoint,
  encodeWitnessSize,
  parseAddCheckpoint,
  parseWitnessSize,
} from "../../protocol/witness-request.ts"
import { noteSigner, signedCheckpoint } from "../kit/note-signer.ts"
import { codeOf } from "../kit/refusal.ts"

const log = noteSigner("hub1.example/traffic/2027", 1)
const entries = Array.from({ length: 11 }, (_, i) => utf8(`entry ${i}`))
const leaves = entries.map((entry) => leafHash(sha256, entry))
const headOf = (size: number): Uint8Array =>
  signedCheckpoint(log, { size, root: treeRoot(sha256, leaves.slice(0, size)) })

describe("proof files", () => {
  const proof = { index: 6, path: inclusionPath(sha256, leaves, 6), checkpoint: headOf(11) }
  const bytes = encodeTlogProof(proof)
  const [, , entry = emptyBytes] = entries.slice(4)
  const open = (file: Uint8Array, text = entry): unknown =>
    openTlogProof(crypto, parseTlogProof(file), text, { log: log.key })

  it("round-trip and prove their entry", () => {
    expect(parseTlogProof(bytes)).toEqual(proof)
    expect(open(bytes)).toMatchObject({ size: 11 })
  })

  it("may carry extra bytes, which are ignored", () => {
    const extra = fromUtf8(bytes).replace("@v1\n", "@v1\nextra AAAA\n")
    expect(parseTlogProof(utf8(extra))).toEqual(proof)
  })

  it("hold for no other entry, index or path", () => {
    expect(codeOf(() => open(bytes, utf8("entry 7")))).toBe("proof")
    expect(codeOf(() => open(encodeTlogProof({ ...proof, index: 7 })))).toBe("proof")
    expect(codeOf(() => open(encodeTlogProof({ ...proof, index: 11 })))).toBe("proof")
    expect(codeOf(() => open(encodeTlogProof({ ...proof, path: proof.path.slice(1) })))).toBe(
      "proof",
    )
    const longer = [...proof.path, ...proof.path.slice(0, 1)]
    expect(codeOf(() => open(encodeTlogProof({ ...proof, path: longer })))).toBe("proof")
  })

  const text = fromUtf8(bytes)
  it.each([
    ["another title", text.replace("@v1", "@v2")],
    ["no index", text.replace("index 6\n", "")],
    ["a leading zero", text.replace("index 6", "index 06")],
    ["extra after the index", text.replace("index 6\n", "index 6\nextra AAAA\n")],
    ["a short hash", text.replace("index 6\n", `index 6\n${toBase64(new Uint8Array(31))}\n`)],
    [
      "64 hashes",
      text.replace("index 6\n", `index 6\n${`${toBase64(sha256(bytes))}\n`.repeat(64)}`),
    ],
    ["no checkpoint", text.slice(0, text.indexOf("\n\n") + 2)],
    ["nothing", ""],
  ])("are refused with %s", (_, file) => {
    expect(codeOf(() => parseTlogProof(utf8(file)))).toBe("proof")
  })
})

describe("witness requests", () => {
  const request = { old: 7, path: consistencyPath(sha256, leaves, 7), checkpoint: headOf(11) }
  const text = fromUtf8(encodeAddCheckpoint(request))

  it("round-trip, from size 0 too", () => {
    expect(parseAddCheckpoint(utf8(text))).toEqual(request)
    const first = { old: 0, path: [], checkpoint: headOf(11) }
    expect(parseAddCheckpoint(encodeAddCheckpoint(first))).toEqual(first)
    expect(parseWitnessSize(encodeWitnessSize(600))).toBe(600)
  })

  it.each([
    ["no old size", text.replace("old ", "new ")],
    ["a leading zero", text.replace("old 7", "old 07")],
    ["a size beyond 2^53", text.replace("old 7", "old 9007199254740993")],
    ["a short hash", text.replace("old 7\n", "old 7\nAAAA\n")],
    ["no empty line", text.replaceAll("\n\n", "\n")],
    ["nothing", ""],
  ])("are refused with %s", (_, body) => {
    expect(codeOf(() => parseAddCheckpoint(utf8(body)))).toBe("not-canonical")
  })

  it.each(["", "600", "600\n\n", " 600\n", "-1\n", `${"1".repeat(40)}\n`])(
    "a size answer is not %j",
    (body) => {
      expect(codeOf(() => parseWitnessSize(utf8(body)))).toBe("not-canonical")
    },
  )
})

describe("promises", () => {
  const key = noteSigner(`${log.key.name}/promise`, 9)
  const promise = {
    origin: log.key.name,
    first: 4,
    count: 3,
    root: treeRoot(sha256, leaves.slice(4, 7)),
    time: 1_800_000_060,
  }
  const text = formatPromiseText(promise)
  const noteOf = (signer: typeof key, signed = text): Uint8Array =>
    formatNote({ text: signed, signatures: [signNote(signer.key, signed, signer.sign)] })

  it("open to what was promised, with a deadline 60 s later", () => {
    expect(openPromise(crypto.verify, noteOf(key), key.key)).toEqual(promise)
    expect(deadlineOf(promise)).toBe(1_800_000_120)
    expect(text.split("\n")).toHaveLength(8)
  })

  it("cover their entries at their places only", () => {
    const path = inclusionPath(sha256, leaves.slice(4, 7), 1)
    const covers = (index: number, leaf = leaves[5] ?? emptyBytes): boolean =>
      isPromised(sha256, promise, { index, leaf, path })
    expect(covers(5)).toBe(true)
    expect([3, 4, 6, 7].map((index) => covers(index))).toEqual([false, false, false, false])
    expect(covers(5, leaves[6])).toBe(false)
  })

  it("are refused under another key, and without the line of theirs", () => {
    expect(codeOf(() => openPromise(crypto.verify, noteOf(log), log.key))).toBe("note")
    const other = noteSigner(`${log.key.name}/promise`, 8)
    expect(codeOf(() => openPromise(crypto.verify, noteOf(other), key.key))).toBe("note")
  })

  it.each([
    ["another deadline", text.replace("1800000120", "1800000121")],
    ["no entries", text.replace("\n3\n", "\n0\n")],
    ["an eighth line", `${text}more\n`],
    ["another title", text.replace("v1", "v2")],
    ["indexes beyond 2^53", text.replace("\n4\n", "\n9007199254740990\n")],
  ])("are refused with %s", (_, changed) => {
    expect(codeOf(() => parsePromiseText(changed))).toBe("note")
  })
})

describe("fork files", () => {
  const lies = [...leaves.slice(0, 3), ...leaves.slice(4), leafHash(sha256, utf8("another"))]
  const lie = (size: number): Uint8Array =>
    signedCheckpoint(log, { size, root: treeRoot(sha256, lies.slice(0, size)) })
  const fork = {
    small: headOf(7),
    large: lie(11),
    prefixRoot: treeRoot(sha256, lies.slice(0, 7)),
    path: consistencyPath(sha256, lies, 7),
  }
  const equal = {
    small: headOf(11),
    large: lie(11),
    prefixRoot: treeRoot(sha256, lies),
    path: [],
  }

  it("round-trip and convict", () => {
    for (const file of [fork, equal]) {
      const parsed = parseForkFile(encodeForkFile(file))
      expect(parsed).toEqual(file)
      expect(checkFork(crypto, parsed, log.key).small.origin).toBe(log.key.name)
    }
  })

  it("convict a log that signs another root of size 0", () => {
    const small = signedCheckpoint(log, { size: 0, root: new Uint8Array(32) })
    const file = { small, large: headOf(11), prefixRoot: emptyRoot(sha256), path: [] }
    expect(checkFork(crypto, file, log.key).small.size).toBe(0)
  })

  it("acquit a log that told one history", () => {
    const honest = {
      small: headOf(7),
      large: headOf(11),
      prefixRoot: treeRoot(sha256, leaves.slice(0, 7)),
      path: consistencyPath(sha256, leaves, 7),
    }
    const same = {
      small: headOf(11),
      large: headOf(11),
      prefixRoot: treeRoot(sha256, leaves),
      path: [],
    }
    for (const file of [
      honest,
      same,
      { ...fork, path: fork.path.slice(1) },
      { ...fork, prefixRoot: sha256(emptyBytes) },
      { ...fork, small: fork.large, large: fork.small },
    ])
      expect(codeOf(() => checkFork(crypto, file, log.key))).toBe("proof")
  })

  it("need the log's own signature on both", () => {
    const forger = noteSigner(log.key.name, 3)
    const forged = signedCheckpoint(forger, { size: 11, root: treeRoot(sha256, lies) })
    expect(codeOf(() => checkFork(crypto, { ...equal, large: forged }, log.key))).toBe("note")
  })

  const json = fromUtf8(encodeForkFile(fork))
  it.each([
    ["another type", json.replace("fork/v1", "fork/v2")],
    ["a member more", json.replace("{", '{"more":1,')],
    ["a member less", json.replace(/"prefixRoot":"[^"]*",/u, "")],
    ["a proof that is no list", json.replace(/"proof":\[.*\]/u, '"proof":{}')],
    ["a number for a hash", json.replace(/"proof":\[/u, '"proof":[1,')],
    ["no JSON", json.slice(1)],
    ["a list", `[${json}]`],
    ["null", "null"],
  ])("are refused with %s", (_, text) => {
    expect(codeOf(() => parseForkFile(utf8(text)))).toBe("proof")
  })

  it("are refused when too large", () => {
    expect(codeOf(() => parseForkFile(new Uint8Array(2_097_153)))).toBe("proof")
    expect(codeOf(() => parseForkFile(concat(encodeForkFile(fork), utf8("x"))))).toBe("proof")
  })
})
