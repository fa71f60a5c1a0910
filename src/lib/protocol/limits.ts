/** Every bound of the wire, each beside its reason (DESIGN.md §10). */

export const limits = {
  /** Small enough for a push and one database page or few; larger content is an attachment. */
  envelopeSizeBytesMin: 64,
  envelopeSizeBytesMax: 16 * 1024,
  /** Keeps one PUT inside a frame with room to spare. */
  entriesPerPutMax: 64,
  /** A segment rolls at either bound; 256 measured best (documents.md §2). */
  segmentEntriesMax: 256,
  segmentSizeBytesMax: 128 * 1024,
  /** One row of wraps per member and rotation; O(n) stays below 5 CPU seconds (crypto.md §8). */
  membersMax: 5_000,
  conversationsPerAccountMax: 10_000,
  devicesPerAccountMax: 16,
  /** Random nonces under one AES-GCM key collide with probability near 2^-57 at this count. */
  entriesPerEpochMax: 2 ** 20,
  entriesPerEpochRotateAt: 50_000,
  frameSizeBytesMax: 256 * 1024,
  /** Bytes queued on a socket nobody reads from before it is closed. */
  queuedBytesMax: 4 * 1024 * 1024,
  /** The text of one message, in UTF-8 bytes: what fits one envelope beside its overhead. */
  messageTextBytesMax: 12 * 1024,
  handleLengthMax: 32,
  handleLengthMin: 3,
  passwordLengthMin: 8,
  passwordLengthMax: 1024,
  displayNameLengthMax: 64,
  groupNameLengthMax: 64,
  /** Small pictures travel inside sealed metadata; 96 px WebP or JPEG fits easily. */
  pictureSizeBytesMax: 8 * 1024,
  /** One entry of the group log without its wraps; a create with 5,000 adds is the largest. */
  groupEntrySizeBytesMax: 256 * 1024,
  accountEntrySizeBytesMax: 2 * 1024,
  accountLogEntriesMax: 4_096,
  /** Wraps of one epoch: 113 B of HPKE each plus the names, times membersMax. */
  epochWrapsSizeBytesMax: 1024 * 1024,
  vaultSizeBytesMax: 256 * 1024,
  markSizeBytesMax: 512,
  ephemeralSizeBytesMax: 512,
  profileSizeBytesMax: 12 * 1024,
  /** Above it marks are stored and pulled, and typing is not sent (documents.md §9). */
  membersFanOutMax: 32,
  syncTokenLifeMs: 5 * 60_000,
  fetchRowsMax: 512,
} as const;
