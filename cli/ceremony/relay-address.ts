// A relay's new address: one `urls` statement for each of its keys that has not ended, so that the address
// stays when the next key begins. Pure but for the keys that sign.

import { ChainWriter } from "../../keys/chain-writer.ts"
import type { KeyEntry } from "../../keys/key-file.ts"
import { signingKey } from "../../keys/signing-key.ts"
import { equalBytes } from "../../protocol/bytes.ts"
import type { ChainBody } from "../../protocol/chain.ts"
import type { Directory } from "../../protocol/directory.ts"
import { ChappeError } from "../../protocol/errors.ts"

/** In an order in which they can be taken in. Refused: `key-expired` where no key is left to sign with. */
export function addressStatements(input: {
  readonly name: string
  readonly directory: Directory
  readonly entries: readonly KeyEntry[]
  readonly urls: ChainBody<"urls">
  readonly at: number
}): readonly Uint8Array[] {
  const { name, directory, entries, urls, at } = input
  const held = entries
    .filter(({ use }) => use === "relay")
    .map(({ secret }) => signingKey("relay", secret))
  const statements = (directory.station(name)?.keys ?? []).flatMap((key) => {
    const signer = held.find(({ keyId }) => equalBytes(keyId, key.keyId))
    if (signer === undefined || key.notAfter <= at) return []
    const chain = new ChainWriter({ name, seq: key.seq, head: key.head })
    const signers = { at: Math.max(at, key.notBefore), keys: [signer] }
    return [chain.append("urls", urls, signers).statement]
  })
  if (statements.length === 0)
    throw new ChappeError("key-expired", `${name} holds no relay key that is valid now or later`)
  return statements
}
