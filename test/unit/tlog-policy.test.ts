import { describe, expect, it } from "vitest"
import { crypto } from "../../keys/crypto.ts"
import { concat, utf8 } from "../../protocol/bytes.ts"
import { isQuorum, parsePolicy } from "../../protocol/tlog-policy.ts"
import { formatVerifierKey, verifierKey } from "../../protocol/verifier-key.ts"
import { noteSigner, witnessSigner } from "../kit/note-signer.ts"
import { codeOf } from "../kit/refusal.ts"

const log = formatVerifierKey(noteSigner("log.example", 1).key)
const vkeys = [2, 3, 4, 5, 6].map((seed) =>
  formatVerifierKey(witnessSigner(`w${seed}.example`, seed).key),
)
const [a = "", b = "", c = "", d = ""] = vkeys

const worked = `# two regions
log ${log} https://log.example/
 witness\tA ${a} https://a.example
witness B ${b}
witness C ${c}

group europe 2 A B C
witness D ${d}
  # and the rest
group world all europe D
quorum world
`
const parse = (text: string): ReturnType<typeof parsePolicy> => parsePolicy(crypto, utf8(text))

describe("policy files", () => {
  it("are read as written", () => {
    const policy = parse(worked)
    expect(policy.logs.map(({ key, url }) => [key.name, url])).toEqual([
      ["log.example", "https://log.example/"],
    ])
    expect(policy.witnesses.map(({ name, url }) => [name, url])).toEqual([
      ["A", "https://a.example"],
      ["B", undefined],
      ["C", undefined],
      ["D", undefined],
    ])
    expect(policy.groups.map(({ name, threshold }) => [name, threshold])).toEqual([
      ["europe", 2],
      ["world", 2],
    ])
    expect(policy.quorum).toBe("world")
  })

  it.each([
    ["A B D", true],
    ["A B C D", true],
    ["B C D", true],
    ["A D", false],
    ["A B C", false],
    ["", false],
    ["europe D", false], // a group is not a witness
    ["world", false],
  ])("cosigned by %j: quorum %s", (names, verdict) => {
    expect(isQuorum(parse(worked), new Set(names.split(" ")))).toBe(verdict)
  })

  it("may ask for nobody, or for one", () => {
    expect(isQuorum(parse("quorum none\n"), new Set())).toBe(true)
    const one = parse(`witness A ${a}\nquorum A\n`)
    expect(isQuorum(one, new Set())).toBe(false)
    expect(isQuorum(one, new Set(["A"]))).toBe(true)
  })

  it("load with an ML-DSA witness, whose lines count as unknown", () => {
    const key = formatVerifierKey(verifierKey(crypto.sha256, "w.example", 6, new Uint8Array(1_312)))
    expect(parse(`witness A ${key}\nquorum A\n`).witnesses).toHaveLength(1)
  })

  it("compare names as bytes", () => {
    const kelvin = concat(utf8(`witness K ${a}\nwitness \u212a ${b}\n`), utf8("quorum \u212a\n"))
    expect(parsePolicy(crypto, kelvin).quorum).toBe("\u00e2\u0084\u00aa")
  })

  it.each([
    ["no quorum", `witness A ${a}\n`],
    ["two quorums", "quorum none\nquorum none\n"],
    ["an unfinished last line", "quorum none"],
    ["an unknown word", "quorum none\nfoo\n"],
    ["a quorum defined later", `quorum A\nwitness A ${a}\n`],
    ["an unknown quorum", "quorum A\n"],
    ["a witness called none", `witness none ${a}\nquorum none\n`],
    ["a name twice", `witness A ${a}\nwitness A ${b}\nquorum A\n`],
    ["a key twice", `witness A ${a}\nwitness B ${a}\nquorum A\n`],
    ["a log's key for a witness", `witness A ${log}\nquorum A\n`],
    ["a witness's key for a log", `log ${a}\nquorum none\n`],
    ["a broken key", `log ${log.slice(0, -1)}\nquorum none\n`],
    ["a member defined later", `group g any A\nwitness A ${a}\nquorum g\n`],
    ["a member twice", `witness A ${a}\ngroup g any A A\nquorum g\n`],
    ["a member of two groups", `witness A ${a}\ngroup g any A\ngroup h any A\nquorum g\n`],
    ["a group of itself", `group g any g\nquorum g\n`],
    ["a group of nobody", `group g any\nquorum none\n`],
    ["0 of 1", `witness A ${a}\ngroup g 0 A\nquorum g\n`],
    ["2 of 1", `witness A ${a}\ngroup g 2 A\nquorum g\n`],
    ["01 of 1", `witness A ${a}\ngroup g 01 A\nquorum g\n`],
    ["a carriage return", "quorum none\r\n"],
    ["a no-break space as separator", "quorum\u00a0none\n"],
    ["a comment after a line", "quorum none # really\n"],
    ["a fourth item", `witness A ${a} https://a https://b\nquorum none\n`],
    ["33 groups", `${Array.from({ length: 33 }, (_, i) => group(i)).join("")}quorum none\n`],
  ])("are refused with %s", (_, text) => {
    expect(codeOf(() => parse(text))).toBe("policy")
  })
})

// Each group names the one before, so that every name has one place.
function group(i: number): string {
  return i === 0 ? `witness A ${a}\ngroup g0 any A\n` : `group g${i} any g${i - 1}\n`
}
