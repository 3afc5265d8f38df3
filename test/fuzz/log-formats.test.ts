// Hostile bytes for every decoder of the log: only errors of the closed table come out.
// FUZZ_INPUTS sets how many inputs each decoder gets; 50,000 by default.

import { describe, expect, it } from "vitest"
import { crypto, sha256 } from "../../keys/crypto.ts"
import { fromUtf8, utf8 } from "../../protocol/bytes.ts"
import { openCheckpoint, parseCheckpointText } from "../../protocol/checkpoint.ts"
import { type LogEntry, decodeEntry, encodeEntry } from "../../protocol/entry.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { encodeForkFile, parseForkFile } from "../../protocol/fork-file.ts"
import { formatPromiseText, openPromise, parsePromiseText } from "../../protocol/promise.ts"
import { formatNote, parseNote, parseSignatureLines, signNote } from "../../protocol/signed-note.ts"
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  parseTilePath,
} from "../../protocol/tiles.ts"
import { parsePolicy } from "../../protocol/tlog-policy.ts"
import { encodeTlogProof, openTlogProof, parseTlogProof } from "../../protocol/tlog-proof.ts"
import { inclusionPath, leafHash, treeRoot } from "../../protocol/tree.ts"
import { formatVerifierKey, parseVerifierKey } from "../../protocol/verifier-key.ts"
import {
  encodeAddCheckpoint,
  parseAddCheckpoint,
  parseWitnessSize,
} from "../../protocol/witness-request.ts"
import { mutate, prng } from "../kit/mutate.ts"
import { noteSigner, signedCheckpoint, witnessSigner } from "../kit/note-signer.ts"

const inputs = Number(process.env["FUZZ_INPUTS"] ?? 50_000)

type Decoder = {
  readonly name: string
  readonly seeds: readonly Uint8Array[]
  /** Throws a ChappeError, or gives what must encode to the same bytes again (undefined: no such claim). */
  readonly decode: (bytes: Uint8Array) => Uint8Array | undefined
}

const textOf = (note: Uint8Array): string => parseNote(note).text
const log = noteSigner("hub1.example/traffic/2027", 1)
const promiseKey = noteSigner("hub1.example/traffic/2027/promise", 2)
const witness = witnessSigner("FR", 3)
const leaves = Array.from({ length: 11 }, (_, i) => leafHash(sha256, utf8(`entry ${i}`)))
const root = treeRoot(sha256, leaves)
const checkpoint = signedCheckpoint(log, { size: 11, root }, [witness])
const path = inclusionPath(sha256, leaves, 6)
const promiseText = formatPromiseText({
  origin: log.key.name,
  first: 0,
  count: 11,
  root,
  time: 1_800_000_000,
})
const promise = formatNote({
  text: promiseText,
  signatures: [signNote(promiseKey.key, promiseText, promiseKey.sign)],
})
const time = 1_800_000_000
const bytes = (length: number): Uint8Array => prng(length).bytes(length)
const auth = { index: 1, size: 3, path: [bytes(32)], blind: bytes(0), signature: bytes(64) }
const signed = { commit: bytes(32), keyId: bytes(16), seq: 1, directorySize: 7, auth }
const entries: readonly LogEntry[] = [
  { kind: "envelope", time, ...signed },
  { kind: "journal", time, ...signed },
  { kind: "head", time, note: checkpoint },
  { kind: "shard", time, note: checkpoint },
  { kind: "access", time, keyId: bytes(16), from: 1, to: 2, commit: bytes(32) },
  { kind: "retention", time, from: 1, to: 2, policyIndex: 3 },
  { kind: "erasure", time, index: 9 },
  { kind: "chain", time, body: bytes(40) },
]
const text =
  (decode: (text: string) => unknown): Decoder["decode"] =>
  (input) => {
    decode(fromUtf8(input))
    return undefined
  }

const groups: Readonly<Record<string, readonly Decoder[]>> = {
  "log entries": [
    {
      name: "entry",
      seeds: entries.map(encodeEntry),
      decode: (input) => encodeEntry(decodeEntry(input)),
    },
  ],
  "tiles and bundles": [
    {
      name: "tile",
      seeds: [encodeTile(leaves)],
      decode: (input) => encodeTile(decodeTile(input, leaves.length)),
    },
    {
      name: "bundle",
      seeds: [
        encodeBundle(entries.slice(0, 3).map(encodeEntry)),
        encodeBundle([bytes(0), bytes(1), bytes(2)]),
      ],
      decode: (input) => encodeBundle(decodeBundle(input, 3)),
    },
    {
      name: "tile path",
      seeds: ["tile/0/x001/x234/067", "tile/entries/000.p/44", "tile/63/999.p/255"].map(utf8),
      decode: text(parseTilePath),
    },
  ],
  "signed notes": [
    {
      name: "note",
      seeds: [checkpoint, promise],
      decode: (input) => formatNote(parseNote(input)),
    },
    {
      name: "signature lines",
      seeds: [checkpoint.slice(textOf(checkpoint).length + 1)],
      decode: text(parseSignatureLines),
    },
    {
      name: "checkpoint text",
      seeds: [utf8(textOf(checkpoint))],
      decode: text(parseCheckpointText),
    },
    { name: "promise text", seeds: [utf8(promiseText)], decode: text(parsePromiseText) },
    {
      name: "verifier key",
      seeds: [utf8(formatVerifierKey(log.key)), utf8(formatVerifierKey(witness.key))],
      decode: text((vkey) => parseVerifierKey(crypto, vkey)),
    },
  ],
  "proofs and requests": [
    {
      name: "proof file",
      seeds: [encodeTlogProof({ index: 6, path, checkpoint })],
      decode: (input) => {
        parseTlogProof(input)
        return undefined // extra bytes are dropped
      },
    },
    {
      name: "add-checkpoint",
      seeds: [encodeAddCheckpoint({ old: 7, path, checkpoint })],
      decode: (input) => encodeAddCheckpoint(parseAddCheckpoint(input)),
    },
    {
      name: "size answer",
      seeds: [utf8("600\n")],
      decode: (input) => {
        parseWitnessSize(input)
        return undefined
      },
    },
    {
      name: "fork file",
      seeds: [encodeForkFile({ small: checkpoint, large: checkpoint, prefixRoot: root, path })],
      decode: (input) => {
        parseForkFile(input)
        return undefined // JSON has many spellings
      },
    },
  ],
  "policy files": [
    {
      name: "policy",
      seeds: [
        utf8(
          `log ${formatVerifierKey(log.key)} https://hub1.example/\nwitness FR ${formatVerifierKey(witness.key)}\ngroup all all FR\nquorum all\n`,
        ),
      ],
      decode: (input) => {
        parsePolicy(crypto, input)
        return undefined
      },
    },
  ],
}

function outcome(decode: () => Uint8Array | undefined): Uint8Array | "refused" | undefined {
  try {
    return decode()
  } catch (error) {
    if (error instanceof ChappeError) return "refused"
    throw error
  }
}

describe("mutated inputs", () => {
  it.each(Object.entries(groups))(
    "%s: only errors of the table",
    (_, decoders) => {
      let refused = 0
      for (const decoder of decoders) {
        for (const seed of decoder.seeds)
          expect(outcome(() => decoder.decode(seed))).not.toBe("refused")
        const random = prng(20_270_101)
        for (let i = 0; i < inputs; i++) {
          const input = mutate(random, random.pick(decoder.seeds))
          const result = outcome(() => decoder.decode(input))
          if (result === "refused") refused += 1
          else if (result !== undefined && Buffer.compare(result, input) !== 0)
            throw new Error(`${decoder.name}: two spellings, input ${i}`)
        }
      }
      expect(refused).toBeGreaterThan(inputs / 2)
    },
    600_000,
  )

  it("signatures: nothing changed is accepted", () => {
    const random = prng(7)
    const proof = encodeTlogProof({ index: 6, path, checkpoint })
    for (let i = 0; i < inputs / 50; i++) {
      const note = mutate(random, checkpoint)
      const opened = outcome(() => {
        const keys = { log: log.key, witnesses: [witness.key] }
        return utf8(openCheckpoint(crypto.verify, note, keys).note.text)
      })
      expect(["refused", utf8(textOf(checkpoint))]).toContainEqual(opened)
      const promised = mutate(random, promise)
      const given = outcome(() => {
        openPromise(crypto.verify, promised, promiseKey.key)
        return utf8(textOf(promised))
      })
      expect(["refused", utf8(promiseText)]).toContainEqual(given)
      const file = mutate(random, proof)
      const proved = outcome(() => {
        const parsed = parseTlogProof(file)
        openTlogProof(crypto, parsed, utf8("entry 6"), { log: log.key })
        return Uint8Array.of(parsed.index)
      })
      expect(["refused", Uint8Array.of(6)]).toContainEqual(proved)
    }
  }, 600_000)
})
