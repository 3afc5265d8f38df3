// Every decoder of protocol/ that takes bytes from outside, in one list: the frozen vectors and the fuzzer
// go through it. What a decoder gives back must encode to the same bytes, unless a format has two spellings.

import { crypto } from "../../keys/crypto.ts"
import { unpad } from "../../keys/padding.ts"
import { decodeAuth, encodeAuth } from "../../protocol/batch.ts"
import { fromBase64, fromHex, fromUtf8, toBase64, toHex, utf8 } from "../../protocol/bytes.ts"
import { isContentType } from "../../protocol/capability.ts"
import {
  type ChainOp,
  type ChainStatement,
  chainBody,
  decodeChainStatement,
  encodeChainStatement,
} from "../../protocol/chain.ts"
import { formatCheckpointText, parseCheckpointText } from "../../protocol/checkpoint.ts"
import { decode, encode, value } from "../../protocol/codec.ts"
import {
  decodeControl,
  decodeSignedControl,
  encodeControl,
  encodeSignedControl,
} from "../../protocol/control.ts"
import { parseDeliveryPolicy } from "../../protocol/delivery-policy.ts"
import {
  decodeDirectoryBundle,
  decodePostedStatement,
  encodeDirectoryBundle,
  encodePostedStatement,
} from "../../protocol/directory-bundle.ts"
import { readDocument } from "../../protocol/document.ts"
import { decodeEntry, encodeEntry } from "../../protocol/entry.ts"
import {
  decodeContent,
  decodeHeader,
  decodeInside,
  decodeLeaf,
  encodeContent,
  encodeHeader,
  encodeInside,
  encodeLeaf,
} from "../../protocol/envelope.ts"
import { ChappeError } from "../../protocol/errors.ts"
import { parseEvidenceFile } from "../../protocol/evidence-file.ts"
import { parseForkFile } from "../../protocol/fork-file.ts"
import { decodeFrame, encodeFrame } from "../../protocol/frames.ts"
import {
  decodeHello,
  decodeSignedHello,
  encodeHello,
  encodeSignedHello,
} from "../../protocol/hello.ts"
import { decodeInvitation, encodeInvitation } from "../../protocol/invitation.ts"
import { decodeJoinRequest, encodeJoinRequest } from "../../protocol/join-request.ts"
import { limits } from "../../protocol/limits.ts"
import { decodeLinkMessage, encodeLinkMessage } from "../../protocol/link-messages.ts"
import { decodeMultiSigned, encodeMultiSigned } from "../../protocol/multi-signed.ts"
import { formatPromiseText, parsePromiseText } from "../../protocol/promise.ts"
import {
  decodeReceipt,
  decodeSealedReceiptInside,
  encodeReceipt,
  encodeSealedReceiptInside,
} from "../../protocol/receipt.ts"
import { decodeRoster, encodeRoster } from "../../protocol/roster.ts"
import { scan } from "../../protocol/scanner.ts"
import { formatNote, parseNote, parseSignatureLines } from "../../protocol/signed-note.ts"
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  parseTilePath,
} from "../../protocol/tiles.ts"
import { decodeTombstone, encodeTombstone } from "../../protocol/tombstone.ts"
import { parsePolicy } from "../../protocol/tlog-policy.ts"
import { parseTlogProof } from "../../protocol/tlog-proof.ts"
import { parseTrustFile } from "../../protocol/trust-file.ts"
import { formatVerifierKey, parseVerifierKey } from "../../protocol/verifier-key.ts"
import {
  encodeAddCheckpoint,
  parseAddCheckpoint,
  parseWitnessSize,
} from "../../protocol/witness-request.ts"

export type Decoder = {
  readonly name: string
  /** The decoded value; a ChappeError for anything else. */
  readonly decode: (bytes: Uint8Array) => unknown
  /** Decodes and encodes again; undefined where a value has several spellings. */
  readonly again: ((bytes: Uint8Array) => Uint8Array) | undefined
}

function decoder<T>(
  name: string,
  read: (bytes: Uint8Array) => T,
  write?: (item: T) => Uint8Array,
): Decoder {
  const again = write === undefined ? undefined : (bytes: Uint8Array) => write(read(bytes))
  return { name, decode: read, again }
}

function text<T>(name: string, read: (text: string) => T, write?: (item: T) => string): Decoder {
  return decoder(
    name,
    (bytes) => read(fromUtf8(bytes)),
    write === undefined ? undefined : (item) => utf8(write(item)),
  )
}

/** A chain statement with its body read by its operation. */
function wholeChainStatement(bytes: Uint8Array): ChainStatement & { readonly read: unknown } {
  const item = decodeChainStatement(bytes)
  return { ...item, read: chainBody<ChainOp>(item.op, item) }
}

/** `mp[type, document]`: a document is read under its content type. */
function typedDocument(bytes: Uint8Array): unknown {
  const found = decode(value, bytes, limits.documentBytesMax)
  const [type, document] = Array.isArray(found) && found.length === 2 ? found : []
  if (typeof type !== "string" || !isContentType(type) || document === undefined)
    throw new ChappeError("document", "not a known type")
  return readDocument(type, document)
}

export const decoders: readonly Decoder[] = [
  decoder("scanner", scan),
  decoder(
    "value",
    (bytes) => decode(value, bytes, limits.documentBytesMax),
    (item) => encode(value, item),
  ),
  decoder("header", decodeHeader, encodeHeader),
  decoder("auth", decodeAuth, encodeAuth),
  decoder("leaf", decodeLeaf, encodeLeaf),
  decoder("content", decodeContent, encodeContent),
  decoder("inside", decodeInside, encodeInside),
  decoder("document", typedDocument),
  decoder("receipt", decodeReceipt, encodeReceipt),
  decoder("sealed receipt", decodeSealedReceiptInside, encodeSealedReceiptInside),
  decoder("tombstone", decodeTombstone, encodeTombstone),
  decoder("control", decodeControl, encodeControl),
  decoder("signed control", decodeSignedControl, encodeSignedControl),
  decoder("hello", decodeHello, encodeHello),
  decoder("signed hello", decodeSignedHello, encodeSignedHello),
  decoder("link message", decodeLinkMessage, encodeLinkMessage),
  decoder("frame", decodeFrame, encodeFrame),
  decoder("multi-signed statement", decodeMultiSigned, encodeMultiSigned),
  decoder("roster", decodeRoster, encodeRoster),
  decoder("chain statement", wholeChainStatement, encodeChainStatement),
  decoder("invitation", decodeInvitation, encodeInvitation),
  decoder("join request", decodeJoinRequest, encodeJoinRequest),
  decoder("directory bundle", decodeDirectoryBundle, encodeDirectoryBundle),
  decoder("posted statement", decodePostedStatement, encodePostedStatement),
  decoder("entry", decodeEntry, encodeEntry),
  text("promise", parsePromiseText, formatPromiseText),
  text("checkpoint", parseCheckpointText, formatCheckpointText),
  decoder("note", parseNote, formatNote),
  text("signature lines", parseSignatureLines),
  decoder("proof", parseTlogProof),
  decoder("fork file", parseForkFile),
  decoder("add-checkpoint", parseAddCheckpoint, encodeAddCheckpoint),
  decoder("witness size", parseWitnessSize),
  decoder("witness policy", (bytes) => parsePolicy(crypto, bytes)),
  decoder("delivery policy", parseDeliveryPolicy),
  text("verifier key", (vkey) => parseVerifierKey(crypto, vkey), formatVerifierKey),
  decoder("tile", (bytes) => decodeTile(bytes, 3), encodeTile),
  decoder("entry bundle", (bytes) => decodeBundle(bytes, 2), encodeBundle),
  text("tile path", parseTilePath),
  text("trust file", parseTrustFile),
  text("evidence file", parseEvidenceFile),
  decoder("padding", unpad),
  text("hex", fromHex, toHex),
  text("base64", fromBase64, toBase64),
]

export function decoderOf(name: string): Decoder {
  const found = decoders.find((one) => one.name === name)
  if (found === undefined) throw new RangeError(`no decoder ${name}`)
  return found
}
