// Where a published log is read from: a copied directory, or a relay's URL.

/** A log's resources by their paths below its prefix: `checkpoint`, `tile/0/000.p/7`. Reading only. */
export interface LogSource {
  /**
   * The whole resource, or undefined when there is none. A longer one than `bytesMax` is refused with
   * `log-file`; one that cannot be read now with `unverified`. May be called again before it resolves.
   */
  read(path: string, bytesMax: number): Promise<Uint8Array | undefined>

  /** Paths of everything below `tile/`, in any order; undefined where the source cannot tell. */
  tilePaths(): Promise<readonly string[] | undefined>
}
