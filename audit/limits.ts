// Numbers of the auditor's tool alone, each with its reason. What crosses the wire is in protocol/limits.ts.

import { limits } from "../protocol/limits.ts"

export const auditLimits = {
  admittedKeysMax: 8_192, // points kept, so that a key's order is computed once; 10 MB
  bundleBytesMax: limits.bundleEntries * (2 + limits.entryBytesMax), // 256 of the longest entries
  tileBytesMax: limits.bundleEntries * 32 + 1, // one byte more, so that a long tile shows as long
  batchesRemembered: 4_096, // verified equations: a batch's entries stand close together
  readAhead: 8, // bundles fetched before they are needed: hides a long-distance round trip
  requestMs: 30_000, // a relay that needs longer is as good as away
} as const
