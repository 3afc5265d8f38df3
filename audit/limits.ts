// Numbers of the auditor's tool alone, each with its reason. What crosses the wire is in protocol/limits.ts.

export const auditLimits = {
  admittedKeysMax: 8_192, // points kept, so that a key's order is computed once; 10 MB
} as const
