// A link without a wire: whoever tests one end carries the frames.

import { LinkSession } from "../../protocol/link-session.ts"

/** Two sessions that have greeted each other; `ours` is driven by what is tested. */
export function twoEnds(): { readonly ours: LinkSession; readonly theirs: LinkSession } {
  const [ours, theirs] = [new LinkSession(0), new LinkSession(0)]
  ours.sendHello(Uint8Array.of(1))
  theirs.sendHello(Uint8Array.of(1))
  for (const frame of ours.takeFrames(0)) theirs.receive(frame, 0)
  for (const frame of theirs.takeFrames(0)) ours.receive(frame, 0)
  return { ours, theirs }
}
