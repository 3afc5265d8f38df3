// Numbers of the auditor's tool alone, each with its reason. What crosses the wire is in protocol/limits.ts.

import { limits } from "../protocol/limits.ts"

export const auditLimits = {
  admittedKeysMax: 8_192, // points kept, so that a key's order is computed once; 10 MB
  bundleBytesMax: limits.bundleEntries * (2 + limits.entryBytesMax), // 256 of the longest entries
  tileBytesMax: limits.bundleEntries * 32 + 1, // one byte more, so that a long tile shows as long
  batchesRemembered: 4_096, // verified equations: a batch's entries stand close together
  readAhead: 8, // bundles fetched before they are needed: hides a long-distance round trip
  tilesRemembered: 64, // 0.5 MB: heads at neighbouring sizes fold the same tiles
  findingsMax: 1_000, // told one by one; a log that is wrong throughout is counted, not listed
  progressSteps: 50, // lines of progress for one log at most
  stateBytesMax: 67_108_864, // numbers of 100,000 keys
  trustBytesMax: 1_048_576,
  secretBytesMax: 64, // 32 bytes, or their hex and a newline
  keyFileBytesMax: 1_048_576,
  sample: 4, // of 256 signed entries, verified by points too
  sampleMax: 256, // all of them
  requestMs: 30_000, // a relay that needs longer is as good as away
} as const
