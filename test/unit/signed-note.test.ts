import { describe, expect, it } from "vitest"
import { crypto } from "../../keys/crypto.ts"
import { concat, fromUtf8, toBase64, utf8 } from "../../protocol/bytes.ts"
import { openCheckpoint, parseCheckpointText } from "../../protocol/checkpoint.ts"
import { cosignatureMessage } from "../../protocol/cosignature.ts"
import {
  cosignNote,
  formatNote,
  formatSignatureLine,
  heldSignatures,
  parseNote,
  signNote,
} from "../../protocol/signed-note.ts"
import { emptyRoot } from "../../protocol/tree.ts"
import { formatVerifierKey, parseVerifierKey, verifierKey } from "../../protocol/verifier-key.ts"
import { noteSigner, signedCheckpoint, witnessSigner } from "../kit/note-signer.ts"
import { codeOf } from "../kit/refusal.ts"

// The example of the signed-note specification.
const example = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`
const exampleKey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"

describe("verifier keys", () => {
  it("have one spelling", () => {
    expect(formatVerifierKey(parseVerifierKey(crypto, exampleKey))).toBe(exampleKey)
  })

  it.each([
    ["another key id", exampleKey.replace("530d903a", "530d903b")],
    ["upper-case hex", exampleKey.replace("530d903a", "530D903A")],
    ["another name", exampleKey.replace("foo", "bar")],
    ["a space in the name", exampleKey.replace("/foo", " foo")],
    ["no name", exampleKey.replace("example.com/foo", "")],
    ["another key", exampleKey.replace(/k$/u, "l")],
    ["nothing", ""],
  ])("refuse %s", (_, text) => {
    expect(codeOf(() => parseVerifierKey(crypto, text))).toBe("key-form")
  })

  it.each([1, 4])(
    "refuse the identity as a key of type %i, which would sign everything",
    (type) => {
      const identity = new Uint8Array(32)
      identity[0] = 1
      const text = formatVerifierKey(verifierKey(crypto.sha256, "log.example", type, identity))
      expect(codeOf(() => parseVerifierKey(crypto, text))).toBe("key-form")
    },
  )
})

describe("signed notes", () => {
  const key = parseVerifierKey(crypto, exampleKey)
  const open = (text: string): unknown =>
    heldSignatures(crypto.verify, parseNote(utf8(text)), [key])

  it("open the specification's example, and format to the same bytes", () => {
    const note = parseNote(utf8(example))
    expect(open(example)).toEqual([{ key, time: undefined }])
    expect(fromUtf8(formatNote(note))).toBe(example)
  })

  it("end their text at the last empty line", () => {
    const signer = noteSigner("a.example", 7)
    const text = "first\n\nsecond\n\n\nthird\n"
    const bytes = formatNote({ text, signatures: [signNote(signer.key, text, signer.sign)] })
    expect(parseNote(bytes).text).toBe(text)
    expect(heldSignatures(crypto.verify, parseNote(bytes), [signer.key])).toHaveLength(1)
  })

  const line = example.split("\n")[2] ?? ""
  it.each([
    ["no signature", "text\n\n"],
    ["no empty line", `text\n${line}\n`],
    ["no last newline", example.trimEnd()],
    ["a tab", example.replace("example message", "example\tmessage")],
    ["a carriage return", example.replace("message.", "message.\r")],
    ["a hyphen for the dash", example.replace("—", "-")],
    ["two spaces", example.replace("foo U", "foo  U")],
    ["a plus in a name", example.replace("/foo", "+foo")],
    ["base64 without padding", example.replace("aQM=", "aQM")],
    ["dirty base64", example.replace("aQM=", "aQN=")],
    ["no signature after the key id", `text\n\n— a.example AAAAAA==\n`],
    ["101 lines", `text\n\n${`${line}\n`.repeat(101)}`],
    ["an empty line between signatures", `${example}\n${line}\nx`],
  ])("refuse %s", (_, text) => {
    expect(codeOf(() => parseNote(utf8(text)))).toBe("note")
  })

  it("refuse bytes that are not UTF-8, and more than 512 KiB", () => {
    expect(codeOf(() => parseNote(Uint8Array.of(0xc0, 0x80, 0x0a, 0x0a)))).toBe("note")
    expect(codeOf(() => parseNote(new Uint8Array(524_289).fill(0x61)))).toBe("note")
  })

  it("take 100 lines, ignore unknown ones, and count a key once", () => {
    const other = line.replace("example.com/foo", "example.com/bar")
    const text = `This is an example message.\n\n${`${other}\n`.repeat(98)}${`${line}\n`.repeat(2)}`
    expect(open(text)).toHaveLength(1)
  })

  it("are refused whole when a known key's line fails", () => {
    expect(codeOf(() => open(example.replace("an example", "my example")))).toBe("note")
    const bad = line.replace("Uw2QOkn8", "Uw2QOkn9")
    expect(codeOf(() => open(`${example}${bad}\n`))).toBe("note")
  })
})

describe("cosignatures", () => {
  const log = noteSigner("log.example", 1)
  const witness = witnessSigner("w.example", 2)
  const bytes = signedCheckpoint(
    log,
    { size: 0, root: emptyRoot(crypto.sha256) },
    [witness],
    1_795_299_454,
  )

  it("open with their time", () => {
    const opened = openCheckpoint(crypto.verify, bytes, {
      log: log.key,
      witnesses: [witness.key],
    })
    expect(opened.cosignatures).toEqual([{ key: witness.key, time: 1_795_299_454 }])
  })

  it("count once, with their newest time", () => {
    const note = parseNote(bytes)
    const later = cosignNote(witness.key, note.text, 1_795_299_999, witness.sign)
    for (const signatures of [
      [...note.signatures, later],
      [later, ...note.signatures],
    ])
      expect(heldSignatures(crypto.verify, { ...note, signatures }, [witness.key])).toEqual([
        { key: witness.key, time: 1_795_299_999 },
      ])
  })

  it.each([
    ["another time", (payload: Uint8Array) => payload.with(7, 0)],
    ["a time above 2^63-1", (payload: Uint8Array) => payload.with(0, 0x80)],
    ["a byte too few", (payload: Uint8Array) => payload.slice(0, -1)],
    ["a byte too many", (payload: Uint8Array) => Uint8Array.of(...payload, 0)],
  ])("with %s refuse the note", (_, change) => {
    const note = parseNote(bytes)
    const signatures = note.signatures.map((one) =>
      one.name === "w.example" ? { ...one, payload: change(one.payload) } : one,
    )
    const keys = [witness.key]
    expect(codeOf(() => heldSignatures(crypto.verify, { ...note, signatures }, keys))).toBe("note")
  })

  it("with a time above 2^63-1 do not hold, though signed", () => {
    const { text } = parseNote(bytes)
    const time = 2n ** 63n
    const head = Uint8Array.of(0x80, 0, 0, 0, 0, 0, 0, 0)
    const payload = concat(head, witness.sign(cosignatureMessage(time, text)))
    const line = { name: "w.example", keyId: witness.key.keyId, payload }
    const note = { text, signatures: [line] }
    expect(codeOf(() => heldSignatures(crypto.verify, note, [witness.key]))).toBe("note")
  })

  it("of type 06 are carried, not judged", () => {
    const key = { ...witness.key, type: 6 }
    expect(heldSignatures(crypto.verify, parseNote(bytes), [key])).toEqual([])
  })
})

describe("checkpoints", () => {
  const root = toBase64(new Uint8Array(32))
  const log = noteSigner("log.example", 1)

  it.each([
    ["a fourth line", `log.example\n5\n${root}\nmore\n`],
    ["two lines", `log.example\n5\n`],
    ["a leading zero", `log.example\n05\n${root}\n`],
    ["a sign", `log.example\n+5\n${root}\n`],
    ["a size above 2^53-1", `log.example\n9007199254740992\n${root}\n`],
    ["a root of 31 bytes", `log.example\n5\n${toBase64(new Uint8Array(31))}\n`],
    ["no origin", `\n5\n${root}\n`],
    ["a space in the origin", `log example\n5\n${root}\n`],
  ])("refuse %s", (_, text) => {
    expect(codeOf(() => parseCheckpointText(text))).toBe("note")
  })

  it("are refused without the log's line, and under another origin", () => {
    const other = noteSigner("other.example", 3)
    const bytes = signedCheckpoint(log, { size: 5, root: new Uint8Array(32) })
    const open = (key: typeof log.key): unknown =>
      openCheckpoint(crypto.verify, bytes, { log: key })
    expect(codeOf(() => open(other.key))).toBe("note")
    expect(codeOf(() => open(noteSigner("log.example", 3).key))).toBe("note")
    expect(codeOf(() => open(log.key))).toBe(undefined)
    const line = formatSignatureLine(signNote(other.key, "log.example\n", other.sign))
    const foreign = utf8(`log.example\n5\n${root}\n\n${line}`)
    expect(codeOf(() => openCheckpoint(crypto.verify, foreign, { log: log.key }))).toBe("note")
  })
})
