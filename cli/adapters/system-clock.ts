// The machine's clock.

/** Milliseconds since 1970. */
export function systemNowMs(): number {
  return Date.now()
}
