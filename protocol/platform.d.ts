// The only two platform classes that protocol/ may use; everything else comes in as a parameter.

declare class TextEncoder {
  encode(input: string): Uint8Array
}

declare class TextDecoder {
  constructor(label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean })
  decode(input: Uint8Array): string
}
