// Numbers of keys/ alone, each with its reason. What crosses the wire is in protocol/limits.ts.

export const keyLimits = {
  admittedKeysMax: 8_192, // 40 keys for each of 196 members; 4 MB with their OpenSSL objects

  keyFileBytesMax: 262_144, // 512 entries with X-Wing public keys are far below
  keyFileEntriesMax: 128,
  secretBytesMax: 64, // the longest secret is a seed of 32 bytes; room for an expanded one
  argon2KibMin: 65_536, // less is guessed too quickly
  argon2KibMax: 1_048_576, // a key file must not eat the machine
  argon2PassesMax: 10, // 1 GiB ten times takes about 10 s

  recordTableBytesMax: 64,
  recordKeyBytesMax: 1_024, // the longest index key is a name, a lane and a number

  paddingPieceBytes: 65_536, // padding of an attachment may reach 64 MiB: written in pieces
  certificateBytesMax: 4_096, // ours have 211; a parser gets no more than this
} as const
