// Fingerprints for people: hex in groups to compare on paper, twelve words to read over the telephone.
// The words are BIP-39's English list: no two begin with the same four letters, and the last holds a checksum.

import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39"
import { wordlist } from "@scure/bip39/wordlists/english.js"
import { fromHex, toHex } from "../protocol/bytes.ts"
import { ChappeError } from "../protocol/errors.ts"

const fingerprintBytes = 16

/** `ee0c 905a 5e53 …`, groups of four digits. */
export function fingerprintHex(bytes: Uint8Array): string {
  return (toHex(bytes).match(/.{1,4}/gu) ?? []).join(" ")
}

/** Takes any grouping and case. Refused: `usage`. */
export function parseFingerprintHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/gu, "").toLowerCase()
  if (!/^(?:[0-9a-f]{2})+$/u.test(digits))
    throw new ChappeError("usage", "a fingerprint is hex digits in pairs")
  return fromHex(digits)
}

/** Twelve English words of 16 bytes, e.g. of a key id. */
export function fingerprintWords(bytes: Uint8Array): string {
  if (bytes.length !== fingerprintBytes)
    throw new RangeError(`fingerprint of ${bytes.length} bytes`)
  return entropyToMnemonic(bytes, wordlist)
}

/** The 16 bytes of twelve words. Refused: `usage`, for an unknown word and for a wrong checksum. */
export function parseFingerprintWords(text: string): Uint8Array {
  const words = text.trim().toLowerCase().split(/\s+/u)
  if (words.length !== 12) throw new ChappeError("usage", `${words.length} words, not 12`)
  const unknown = words.findIndex((word) => !wordlist.includes(word))
  if (unknown >= 0) throw new ChappeError("usage", `word ${unknown + 1} is not in the list`)
  try {
    return mnemonicToEntropy(words.join(" "), wordlist)
  } catch (cause) {
    // Twelve words of the list: only the checksum is left to fail.
    throw new ChappeError("usage", "the words do not fit together: one was misheard", { cause })
  }
}
