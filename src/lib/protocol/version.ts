/**
 * The version both sides say in HELLO, and its history.
 *
 * A change on the wire moves together: the shape, this version with its history line, and a fixture. The
 * hash covers the description of every frame and every body; a test fails until the newest line holds
 * what `node tools/fixtures.ts` says.
 */

export interface VersionLine {
  readonly version: number;
  /** SHA-256, in hex, of `frameShapes` and `apiShapes` with a line break between. */
  readonly shapesSha256: string;
  readonly says: string;
}

export const versionHistory: readonly [VersionLine, ...VersionLine[]] = [
  {
    version: 1,
    shapesSha256: 'f1160352e4eb1d1d3a75af53ceabd8f139277a9741e802090c663892bf15a867',
    says: 'The first: conversations as gapless logs over one socket, accounts, groups and the vault over HTTP.',
  },
];

export const protocolVersion = 1;
