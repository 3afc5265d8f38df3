// A sender's file name made harmless: it stays in its folder on any system, hides nothing, runs nothing.

const lengthMax = 120

/** Device names that Windows reserves whatever their ending. */
const reserved = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/iu

/** `index` names what has no name left; `copy` 0 is the name itself, 1 and more come before its ending. */
export function safeFileName(wish: string, index: number, copy: number): string {
  const last = wish.normalize("NFC").split(/[/\\]/u).at(-1) ?? ""
  const plain = last
    // Letters, digits, marks of any script; spaces and the harmless signs. No controls, no direction marks.
    .replaceAll(/[^\p{L}\p{N}\p{M} ._()+,=@-]/gu, "_")
    .replace(/^[. -]+/u, "")
    .replace(/[. ]+$/u, "")
  const dot = plain.lastIndexOf(".")
  const ending = dot > 0 && plain.length - dot <= 12 ? plain.slice(dot) : ""
  const stem = Array.from(ending === "" ? plain : plain.slice(0, dot))
    .slice(0, lengthMax)
    .join("")
  const name = stem === "" ? `attachment-${index + 1}` : reserved.test(plain) ? `_${stem}` : stem
  return `${name}${copy === 0 ? "" : ` (${copy})`}${ending}`
}
